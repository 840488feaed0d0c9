import BloomBase
import Testing

@testable import BloomCrypto
@testable import BloomHPKE

@Suite struct AESGCMTests {
  private static let nonce = AEADNonce([UInt8](repeating: 0, count: 12))

  private func key(_ text: String) throws -> SecretBytes {
    try SecretBytes(try #require(Hex.decode(text)))
  }

  private func nonce(_ text: String) throws -> AEADNonce {
    let bytes = try #require(Hex.decode(text))
    return try #require(AEADNonce(bytes))
  }

  /// The GCM specification's test cases 1, 2, 4 (128 bits) and 13, 14, 16 (256 bits).
  @Test func `sealed texts equal the published ones`() throws {
    let text = Array(
      (Hex.decode(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39") ?? []))
    let data = Hex.decode("feedfacedeadbeeffeedfacedeadbeefabaddad2") ?? []
    let cases: [(String, String, [UInt8], [UInt8], String)] = [
      (
        "00000000000000000000000000000000", "000000000000000000000000", [], [],
        "58e2fccefa7e3061367f1d57a4e7455a"
      ),
      (
        "00000000000000000000000000000000", "000000000000000000000000",
        [UInt8](repeating: 0, count: 16), [],
        "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"
      ),
      (
        "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", text, data,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
          + "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc"
          + "3221a5db94fae95ae7121a47"
      ),
      (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "000000000000000000000000", [], [], "530f8afbc74536b9a963b4f1c4cb738b"
      ),
      (
        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        "cafebabefacedbaddecaf888", text, data,
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
          + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
          + "76fc6ece0f4e1768cddf8853bb2d551b"
      ),
    ]
    for (keyText, nonceText, plaintext, data, expected) in cases {
      var cipher = try AESGCM(key: try key(keyText))
      let nonce = try nonce(nonceText)
      let sealed = try cipher.seal(plaintext, nonce: nonce, associatedData: data)
      #expect(Hex.encode(sealed) == expected)
      #expect(try cipher.open(sealed, nonce: nonce, associatedData: data) == plaintext)
    }
  }

  @Test func `one context seals and opens in any order, appending to a buffer`() throws {
    let nonce = try #require(Self.nonce)
    var cipher = try AESGCM(key: try SecretBytes.random(count: 32))
    var output: [UInt8] = [9, 9]
    for index in 0..<20 {
      let text = SecureRandom.bytes(index * 37)
      let start = output.count
      try cipher.seal(
        text.span, nonce: nonce.counting(UInt64(index)), associatedData: [1].span,
        appendingTo: &output)
      #expect(output.count == start + text.count + AESGCM.tagByteCount)
      let sealed = output[start...]
      var opened: [UInt8] = [5]
      try cipher.open(
        sealed.span, nonce: nonce.counting(UInt64(index)), associatedData: [1].span,
        appendingTo: &opened)
      #expect(opened == [5] + text)
    }
    #expect(output.prefix(2) == [9, 9])
  }

  @Test func `every flipped bit is refused and leaves no plaintext`() throws {
    let nonce = try #require(Self.nonce)
    var cipher = try AESGCM(key: try SecretBytes.random(count: 32))
    let text = Array("a text of some length".utf8)
    let sealed = try cipher.seal(text, nonce: nonce, associatedData: [1, 2])
    for bit in 0..<sealed.count * 8 {
      var changed = sealed
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      var buffer: [UInt8] = [1] + changed
      let error = #expect(throws: CryptoError.self) {
        try cipher.open(&buffer, from: 1, nonce: nonce, associatedData: [1, 2].span)
      }
      #expect(error?.code == .authenticationFailed)
      #expect(buffer == [1])
    }
    for count in 0..<sealed.count {
      #expect(throws: CryptoError.self) {
        try cipher.open(Array(sealed.prefix(count)), nonce: nonce, associatedData: [1, 2])
      }
    }
    #expect(throws: CryptoError.self) { try cipher.open(sealed, nonce: nonce) }
    #expect(throws: CryptoError.self) {
      try cipher.open(sealed, nonce: nonce.counting(1), associatedData: [1, 2])
    }
    #expect(try cipher.open(sealed, nonce: nonce, associatedData: [1, 2]) == text)
  }

  @Test func `keys of other lengths are refused`() throws {
    for count in [0, 15, 17, 24, 31, 33, 64] {
      let key = try SecretBytes.random(count: count)
      #expect(throws: CryptoError.self) { _ = try AESGCM(key: key) }
    }
    #expect(AEADNonce([UInt8](repeating: 0, count: 11)) == nil)
  }

  @Test func `a nonce counts in its last eight bytes`() throws {
    let nonce = try #require(AEADNonce((1...12).map { UInt8($0) }))
    #expect(nonce.bytes == (1...12).map { UInt8($0) })
    #expect(nonce.counting(0x0102).bytes == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 14])
    #expect(nonce.counting(.max).bytes.prefix(4) == [1, 2, 3, 4])
  }
}
