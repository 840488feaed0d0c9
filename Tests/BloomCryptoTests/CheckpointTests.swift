import BloomBase
import Testing

@testable import BloomCrypto

@Suite struct CheckpointTests {
  private let key: SigningKey
  private let verifier: Checkpoint.Verifier
  private let checkpoint: Checkpoint

  init() throws {
    key = try SigningKey.derive(.ed25519, seed: [1])
    verifier = try #require(Checkpoint.Verifier(name: "log.example", key: key.verifyingKey))
    checkpoint = try #require(
      Checkpoint(
        origin: "log.example/directory", size: 20_852_163, root: SHA256.digest([1]),
        extensionLines: ["one more line"]))
  }

  private func verify(_ note: [UInt8], _ verifiers: [Checkpoint.Verifier]? = nil) throws
    -> Checkpoint
  {
    try Checkpoint(
      verifying: note, origin: "log.example/directory", verifiers: verifiers ?? [verifier])
  }

  @Test func `a signed checkpoint verifies and has the published form`() throws {
    let note = try checkpoint.signed(by: [("log.example", key)])
    let lines = note.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 7)
    #expect(lines[0] == "log.example/directory")
    #expect(lines[1] == "20852163")
    #expect(lines[2] == Base64.encode(SHA256.hash([1])))
    #expect(lines[4] == "")
    #expect(lines[5].hasPrefix("\u{2014} log.example "))
    #expect(try verify(Array(note.utf8)) == checkpoint)
  }

  @Test func `every flipped bit is refused`() throws {
    let note = Array(try checkpoint.signed(by: [("log.example", key)]).utf8)
    for bit in 0..<note.count * 8 {
      var changed = note
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: CryptoError.self, "bit \(bit)") { try verify(changed) }
    }
    for count in 0..<note.count {
      #expect(throws: CryptoError.self) { try verify(Array(note.prefix(count))) }
    }
  }

  @Test func `all required signers must have signed, others do not matter`() throws {
    let witness = try SigningKey.derive(.ed25519, seed: [2])
    let stranger = try SigningKey.derive(.ed25519, seed: [3])
    let second = try #require(Checkpoint.Verifier(name: "witness", key: witness.verifyingKey))
    let one = Array(try checkpoint.signed(by: [("log.example", key)]).utf8)
    let three = Array(
      try checkpoint.signed(by: [
        ("stranger", stranger), ("log.example", key), ("witness", witness),
      ]).utf8)
    #expect(throws: CryptoError.self) { try verify(one, [verifier, second]) }
    #expect(try verify(three, [verifier, second]) == checkpoint)
    #expect(try verify(three) == checkpoint)
    #expect(throws: CryptoError.self) { try verify(one, []) }
    let forged = Array(try checkpoint.signed(by: [("log.example", stranger)]).utf8)
    #expect(throws: CryptoError.self) { try verify(forged) }
    #expect(throws: CryptoError.self) {
      try Checkpoint(verifying: one, origin: "other", verifiers: [verifier])
    }
  }

  @Test func `texts outside the format are refused`() throws {
    let root = Base64.encode(SHA256.hash([]))
    func signed(_ text: String) throws -> [UInt8] {
      let signature = Base64.encode(verifier.keyHash + (try key.sign(Array(text.utf8))))
      return Array("\(text)\n\u{2014} log.example \(signature)\n".utf8)
    }
    let origin = "log.example/directory"
    _ = try verify(signed("\(origin)\n0\n\(root)\n"))
    for text in [
      "\(origin)\n00\n\(root)\n", "\(origin)\n-1\n\(root)\n", "\(origin)\n+1\n\(root)\n",
      "\(origin)\n18446744073709551616\n\(root)\n", "\(origin)\n1\n\(root.dropLast())\n",
      "\(origin)\n1\nAAAA\n", "\(origin)\n1\n", "\(origin)\n1\n\(root)\n\n",
      "\(origin)\r\n1\r\n\(root)\r\n", "\n1\n\(root)\n", "",
    ] {
      let note = try signed(text)
      #expect(throws: CryptoError.self, "\(text)") { try verify(note) }
    }
    #expect(Checkpoint(origin: "a\nb", size: 1, root: .zero) == nil)
    #expect(Checkpoint(origin: "", size: 1, root: .zero) == nil)
    #expect(Checkpoint.Verifier(name: "a b", key: key.verifyingKey) == nil)
    #expect(Checkpoint.Verifier(name: "a+b", key: key.verifyingKey) == nil)
    let p256 = try SigningKey.generate(.p256)
    #expect(Checkpoint.Verifier(name: "a", key: p256.verifyingKey) == nil)
  }
}
