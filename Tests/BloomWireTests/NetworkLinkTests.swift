import BloomBase
import BloomWire
import Testing

@Suite struct NetworkLinkTests {
  private static let key = [UInt8](0..<32)
  private static let keyText = Base64.encode(key, .url)

  @Test(arguments: [nil, Base64.encode([UInt8](repeating: 9, count: 16), .url)], [false, true])
  func `a link is read as it was written`(invite: String?, isForMachine: Bool) throws {
    let link = NetworkLink(
      url: "https://bloom.example:8443", origin: "bloom.example", logKey: Self.key,
      invite: invite, isForMachine: isForMachine)
    #expect(try NetworkLink(link.text) == link)
  }

  @Test func `everything secret stands behind the fragment`() {
    let invite = Base64.encode([UInt8](repeating: 9, count: 16), .url)
    let text = NetworkLink(
      url: "https://bloom.example", origin: "bloom", logKey: Self.key, invite: invite
    ).text
    #expect(text.prefix { $0 != "#" } == "https://bloom.example/join")
  }

  @Test(arguments: [
    ("", NetworkLink.Problem.notALink), ("https://bloom.example/join", .notALink),
    ("ftp://bloom.example/join#origin=b&key=\(keyText)", .notALink),
    ("https:///join#origin=b&key=\(keyText)", .notALink),
    ("https://user@bloom.example/#origin=b&key=\(keyText)", .notALink),
    ("https://bloom.example/#origin", .notALink),
    ("https://bloom.example/#key=\(keyText)&key=\(keyText)&origin=b", .notALink),
    ("https://bloom.example/#origin=b", .badKey),
    ("https://bloom.example/#origin=b&key=\(keyText.dropLast())", .badKey),
    ("https://bloom.example/#origin=b&key=%41", .badKey),
    ("https://bloom.example/#key=\(keyText)", .badOrigin),
    ("https://bloom.example/#origin=a%20b&key=\(keyText)", .badOrigin),
    ("https://bloom.example/#origin=b&key=\(keyText)&invite=", .badInvite),
    ("https://bloom.example/#origin=b&key=\(keyText)&invite=AAAA", .badInvite),
  ])
  func `a damaged link is refused with what is wrong`(text: String, problem: NetworkLink.Problem) {
    #expect(throws: problem) { try NetworkLink(text) }
  }

  @Test func `a pool's name is a file's and a log's`() {
    for name in ["lab", "a", "0-1", String(repeating: "a", count: 32)] {
      #expect(PoolName.isValid(name))
    }
    for name in ["", "-a", "A", "a/b", "..", "a b", "é", String(repeating: "a", count: 33)] {
      #expect(!PoolName.isValid(name))
    }
    #expect(PoolName.origin(of: "lab", in: "bloom") == "bloom/pool/lab")
  }

  @Test func `a proof to enrol is none to leave, nor for another network`() {
    let challenge = [UInt8](repeating: 1, count: 32)
    let messages = Set([
      EnrolmentProof.message(.enrol, challenge: challenge, logKey: Self.key),
      EnrolmentProof.message(.leave, challenge: challenge, logKey: Self.key),
      EnrolmentProof.message(.enrol, challenge: challenge, logKey: challenge),
    ])
    #expect(messages.count == 3)
    #expect(
      EnrolmentProof.message(.enrol, challenge: challenge, logKey: Self.key)
        == Array("darkbloom/1 enrol".utf8) + [0] + challenge + Self.key)
  }
}
