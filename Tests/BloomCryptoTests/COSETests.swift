import BloomBase
import BloomWire
import Testing

@testable import BloomCrypto

@Suite struct COSETests {
  private static let external = Array("darkbloom/1 receipt".utf8)

  private func message(_ kind: VerifyingKey.Kind) throws -> (COSESign1, VerifyingKey) {
    let key = try SigningKey.generate(kind)
    let message = try COSESign1(
      signing: [1, 2, 3], contentType: "application/x", keyIdentifier: [9],
      externalData: Self.external, signer: key)
    return (message, key.verifyingKey)
  }

  @Test(arguments: [VerifyingKey.Kind.p256, .p384, .ed25519])
  func `what is signed decodes and verifies under its key and external data alone`(
    kind: VerifyingKey.Kind
  ) throws {
    let (message, key) = try message(kind)
    let decoded = try COSESign1(decoding: message.encoded)
    #expect(decoded == message)
    #expect(decoded.contentType == "application/x")
    #expect(decoded.keyIdentifier == [9])
    try decoded.verify(key, externalData: Self.external)
    #expect(throws: CryptoError.self) { try decoded.verify(key, externalData: []) }
    let other = try SigningKey.generate(kind).verifyingKey
    #expect(throws: CryptoError.self) { try decoded.verify(other, externalData: Self.external) }
  }

  @Test func `every flipped bit is refused`() throws {
    let (message, key) = try message(.p256)
    let bytes = message.encoded
    for bit in 0..<bytes.count * 8 {
      var changed = bytes
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: CryptoError.self, "bit \(bit)") {
        try COSESign1(decoding: changed).verify(key, externalData: Self.external)
      }
    }
    for count in 0..<bytes.count {
      #expect(throws: CryptoError.self) { try COSESign1(decoding: Array(bytes.prefix(count))) }
    }
    #expect(throws: CryptoError.self) { try COSESign1(decoding: bytes + [0]) }
  }

  /// RFC 9052 §C.2.1: ECDSA P-256 with kid "11".
  @Test func `the RFC's example verifies`() throws {
    let text =
      "d28443a10126a10442313154546869732069732074686520636f6e74656e742e58408eb33e4ca31d1c465ab05aac"
      + "34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916"
      + "e5a4c345cacb36"
    let bytes = try #require(Hex.decode(text))
    let scalar = try #require(
      Hex.decode("57c92077664146e876760c9520d054aa93c3afb04e306705db6090308507b4d3"))
    let key = try SigningKey(.p256, secret: SecretBytes(scalar)).verifyingKey
    let message = try COSESign1(decoding: bytes, profile: .general)
    #expect(String(decoding: message.payload, as: UTF8.self) == "This is the content.")
    try message.verify(key, externalData: [])
    // Our own records have neither tag nor unprotected headers.
    #expect(throws: CryptoError.self) { try COSESign1(decoding: bytes) }
  }

  @Test func `the working group's examples pass and fail as they should`() throws {
    let file = try Vectors.json("cose/sign1.json")
    let key = try VerifyingKey(.p256, file.hex("key"))
    let cases = try #require(file["cases"]?.items)
    #expect(cases.count == 9)
    for example in cases {
      let bytes = try example.hex("message")
      let external = try example.hex("external")
      let isGood =
        (try? COSESign1(decoding: bytes, profile: .general).verify(key, externalData: external))
        != nil
      #expect(isGood == (example["expected"]?.string == "pass"), "\(example["name"] as Any)")
    }
  }

  @Test func `headers that decide must be protected, known and not repeated`() throws {
    func encoded(_ header: [CBORValue.Pair], _ unprotected: [CBORValue.Pair] = []) -> [UInt8] {
      CBORValue.array([
        .bytes(CBORValue.map(header).encoded), .map(unprotected), .bytes([1]),
        .bytes([UInt8](repeating: 1, count: 64)),
      ]).encoded
    }
    func pair(_ label: UInt64, _ value: CBORValue) -> CBORValue.Pair {
      CBORValue.Pair(.unsigned(label), value)
    }
    let es256 = pair(1, .negative(6))
    _ = try COSESign1(decoding: encoded([es256]))
    let everywhere: [([CBORValue.Pair], [CBORValue.Pair], CryptoError.Code)] = [
      ([], [], .unsupported),
      ([pair(1, .negative(7 + 30))], [], .unsupported),
      ([pair(1, .text("ES256"))], [], .unsupported),
      ([], [es256], .malformed),
      ([es256], [es256], .malformed),
      ([es256, pair(4, .bytes([1]))], [pair(4, .bytes([2]))], .malformed),
      ([es256, pair(2, .array([]))], [], .malformed),
      ([es256, pair(2, .array([.unsigned(9)]))], [], .malformed),
      ([es256, pair(2, .array([.unsigned(9)])), pair(9, .null)], [], .refused),
      ([es256], [pair(2, .array([.unsigned(1)]))], .malformed),
      ([es256, pair(3, .unsigned(50))], [], .malformed),
      ([es256, pair(4, .text("a"))], [], .malformed),
    ]
    for (header, unprotected, code) in everywhere {
      let bytes = encoded(header, unprotected)
      let general = #expect(throws: CryptoError.self) {
        try COSESign1(decoding: bytes, profile: .general)
      }
      #expect(general?.code == code, "\(header)")
      #expect(throws: CryptoError.self) { try COSESign1(decoding: bytes) }
    }
    let lenient: [([CBORValue.Pair], [CBORValue.Pair])] = [
      ([es256, pair(9, .null)], []), ([es256], [pair(9, .null)]),
      ([es256], [pair(4, .bytes([1]))]), ([es256, pair(2, .array([.unsigned(1)]))], []),
    ]
    for (header, unprotected) in lenient {
      let bytes = encoded(header, unprotected)
      _ = try COSESign1(decoding: bytes, profile: .general)
      #expect(throws: CryptoError.self) { try COSESign1(decoding: bytes) }
    }
  }

  @Test func `a signature of another curve's length is refused`() throws {
    let (message, _) = try message(.p384)
    var value = try #require(try CBORValue(decoding: message.encoded).items)
    value[3] = .bytes([UInt8](repeating: 1, count: 64))
    let bytes = CBORValue.array(value).encoded
    #expect(throws: CryptoError.self) { try COSESign1(decoding: bytes) }
  }
}
