import BloomBase
import BloomCrypto
import BloomWire
import Testing

@testable import BloomHPKE

/// Our chunk ciphers are chunked Oblivious HTTP's: its published example comes out.
@Suite struct ObliviousHTTPTests {
  @Test func `the draft's request opens chunk by chunk`() throws {
    let example = try Vectors.json("ohttp/chunked.json")
    let key = try SoftwareKEMKey(
      .x25519, scalar: SecretBytes(try example.hex("gateway_secret_key")))
    #expect(key.publicKey.bytes == (try example.hex("gateway_public_key")))
    let suite = HPKESuite(.x25519, .aes128GCM)
    var recipient = try HPKERecipient(
      encapsulatedKey: try example.hex("client_ephemeral_public_key"), key: key, suite: suite,
      info: try example.hex("info"))
    let lines = try #require(example["encapsulated_request_lines"]?.items)
    var text: [UInt8] = []
    for (index, line) in lines.dropFirst(2).enumerated() {
      let digits = try #require(line.string)
      let bytes: [UInt8] = try #require(Hex.decode(digits))
      let isFinal = bytes[0] == 0
      #expect(isFinal == (index == 2))
      text += try recipient.open(
        Array(bytes[1...]), associatedData: isFinal ? Array("final".utf8) : [])
    }
    #expect(text == (try example.hex("request_bhttp")))
    let secret = try recipient.export(try example.hexOfText("response_export_label"), count: 16)
    #expect(secret.exposed() == (try example.hex("response_secret")))
  }

  @Test func `the draft's response opens and seals chunk by chunk`() throws {
    let example = try Vectors.json("ohttp/chunked.json")
    func cipher() throws -> ChunkCipher {
      try ChunkCipher(
        answerSecret: SecretBytes(try example.hex("response_secret")),
        salt: try example.hex("response_salt"), keyByteCount: 16)
    }
    var opener = try cipher()
    var sealer = try cipher()
    var text: [UInt8] = []
    let lines = try #require(example["encapsulated_response_lines"]?.items)
    for (index, line) in lines.dropFirst().enumerated() {
      let digits = try #require(line.string)
      let bytes: [UInt8] = try #require(Hex.decode(digits))
      let sealed = Array(bytes[1...])
      let start = text.count
      try opener.open(sealed.span, isFinal: index == 2, appendingTo: &text)
      var again = Array(text[start...])
      try sealer.seal(endOf: &again, from: 0, isFinal: index == 2)
      #expect(again == sealed)
    }
    #expect(text == (try example.hex("response_bhttp")))
    let isComplete = opener.isComplete
    #expect(isComplete)
    #expect(throws: CryptoError.self) {
      try opener.open([UInt8](repeating: 0, count: 16).span, isFinal: false, appendingTo: &text)
    }
  }
}

extension JSONValue {
  fileprivate func hexOfText(_ name: String) throws -> [UInt8] {
    Array(try #require(self[name]?.string).utf8)
  }
}
