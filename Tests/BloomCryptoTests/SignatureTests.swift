import BloomBase
import BloomWire
import Testing

@testable import BloomCrypto

@Suite struct SignatureTests {
  private static let kinds: [VerifyingKey.Kind] = [.p256, .p384, .ed25519]

  @Test(arguments: kinds)
  func `a signature verifies for its message alone, every flipped bit is refused`(
    kind: VerifyingKey.Kind
  ) throws {
    let key = try SigningKey.generate(kind)
    let scheme = try #require(kind.ownScheme)
    let message = Array("a receipt".utf8)
    let signature = try key.sign(message)
    #expect(signature.count == (kind == .p384 ? 96 : 64))
    #expect(key.verifyingKey.isValid(signature, for: message, scheme))
    #expect(!key.verifyingKey.isValid(signature, for: message + [0], scheme))
    let other = try SigningKey.generate(kind).verifyingKey
    #expect(!other.isValid(signature, for: message, scheme))
    for bit in stride(from: 0, to: signature.count * 8, by: 3) {
      var changed = signature
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!key.verifyingKey.isValid(changed, for: message, scheme), "bit \(bit)")
    }
    for count in [0, 1, signature.count - 1] {
      #expect(!key.verifyingKey.isValid(Array(signature.prefix(count)), for: message, scheme))
    }
    #expect(!key.verifyingKey.isValid(signature + [0], for: message, scheme))
  }

  @Test func `r or s of zero, of the order or beyond it is refused, high s is taken`() throws {
    let order = try #require(
      Hex.decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"))
    let key = try SigningKey.generate(.p256)
    let message: [UInt8] = [1]
    let signature = try key.sign(message)
    let r = Array(signature[..<32])
    let s = Array(signature[32...])
    let zero = [UInt8](repeating: 0, count: 32)
    let maximum = [UInt8](repeating: 255, count: 32)
    let scheme = SignatureScheme.ecdsa(.sha256)
    for bad in [zero + s, r + zero, zero + zero, order + s, r + order, maximum + s, r + maximum] {
      #expect(!key.verifyingKey.isValid(bad, for: message, scheme))
    }
    // n − s verifies as well: ECDSA signatures are malleable, so they never name a message.
    var high = zero
    var borrow = 0
    for index in (0..<32).reversed() {
      let difference = Int(order[index]) - Int(s[index]) - borrow
      borrow = difference < 0 ? 1 : 0
      high[index] = UInt8(difference & 255)
    }
    #expect(key.verifyingKey.isValid(r + high, for: message, scheme))
  }

  @Test func `DER signatures have one form`() throws {
    let key = try SigningKey.generate(.p256)
    for count in 0..<40 {
      let message = [UInt8](repeating: 7, count: count)
      let raw = try key.sign(message)
      let der = ECDSASignature.der(fromRaw: raw)
      #expect(try ECDSASignature.raw(fromDER: der, coordinateByteCount: 32) == raw)
      #expect(key.verifyingKey.isValid(der, for: message, .ecdsaDER(.sha256)))
      #expect(!key.verifyingKey.isValid(raw, for: message, .ecdsaDER(.sha256)))
      #expect(!key.verifyingKey.isValid(der, for: message, .ecdsa(.sha256)))
    }
    for text in [
      "", "3000", "3006020101020101" + "00", "300602010002010100", "30080202000102020001",
      "3006020181020101", "3080020101020101" + "0000", "30810602010102" + "0101", "300302" + "0101",
      "3106020101020101", "30070202ff01020101",
    ] {
      let bytes = try #require(Hex.decode(text))
      #expect(throws: CryptoError.self, "\(text)") {
        try ECDSASignature.raw(fromDER: bytes, coordinateByteCount: 32)
      }
    }
    let tooLong = ECDSASignature.der(fromRaw: [UInt8](repeating: 0x11, count: 96))
    #expect(throws: CryptoError.self) {
      try ECDSASignature.raw(fromDER: tooLong, coordinateByteCount: 32)
    }
  }

  /// RFC 8032 §7.1, test 3.
  @Test func `Ed25519 gives the published signature`() throws {
    let seed = try #require(
      Hex.decode("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
    let key = try SigningKey(.ed25519, secret: SecretBytes(seed))
    #expect(
      Hex.encode(key.verifyingKey.bytes)
        == "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    #expect(
      Hex.encode(try key.sign([0xaf, 0x82]))
        == "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")
  }

  /// RFC 6979 §A.2.5, "sample" with SHA-256: a fixed signature by a fixed key verifies.
  @Test func `ECDSA verifies the published signature`() throws {
    let scalar = try #require(
      Hex.decode("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"))
    let signature = try #require(
      Hex.decode(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
          + "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"))
    let key = try SigningKey(.p256, secret: SecretBytes(scalar)).verifyingKey
    #expect(
      Hex.encode(key.bytes)
        == "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        + "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299")
    #expect(key.isValid(signature, for: Array("sample".utf8), .ecdsa(.sha256)))
    #expect(!key.isValid(signature, for: Array("test".utf8), .ecdsa(.sha256)))
    #expect(!key.isValid(signature, for: Array("sample".utf8), .ecdsa(.sha384)))
  }

  @Test(arguments: kinds)
  func `keys survive SPKI and PKCS 8, other forms are refused`(kind: VerifyingKey.Kind) throws {
    let key = try SigningKey.generate(kind)
    let spki = key.verifyingKey.subjectPublicKeyInfo
    #expect(try VerifyingKey(subjectPublicKeyInfo: spki) == key.verifyingKey)
    for bad in [spki + [0], Array(spki.dropLast()), [], Array(spki.dropFirst())] {
      #expect(throws: CryptoError.self) { try VerifyingKey(subjectPublicKeyInfo: bad) }
    }
    let stored = try key.pkcs8()
    let read = try SigningKey(pkcs8: stored)
    #expect(read.verifyingKey == key.verifyingKey)
    #expect(
      read.verifyingKey.isValid(
        try read.sign([1]), for: [1], try #require(kind.ownScheme)))
    var bytes = stored.exposed()
    bytes[bytes.count - 1] ^= 1
    if kind != .ed25519 {
      let changed = try SecretBytes(bytes)
      #expect(throws: CryptoError.self) { try SigningKey(pkcs8: changed) }
    }
    for count in 0..<bytes.count {
      let cut = try SecretBytes(Array(bytes.prefix(count)))
      #expect(throws: CryptoError.self) { try SigningKey(pkcs8: cut) }
    }
    #expect(!"\(key)".contains(Hex.encode(key.verifyingKey.bytes.suffix(4))))
  }

  @Test(arguments: kinds)
  func `a seed gives one key`(kind: VerifyingKey.Kind) throws {
    let first = try SigningKey.derive(kind, seed: [1, 2, 3])
    #expect(try SigningKey.derive(kind, seed: [1, 2, 3]).verifyingKey == first.verifyingKey)
    #expect(try SigningKey.derive(kind, seed: [1, 2, 4]).verifyingKey != first.verifyingKey)
  }

  @Test func `a scheme of another kind of key is refused`() throws {
    let p256 = try SigningKey.generate(.p256)
    let ed25519 = try SigningKey.generate(.ed25519)
    let signature = try ed25519.sign([1])
    for scheme: SignatureScheme in [
      .ecdsa(.sha256), .ecdsaDER(.sha256), .rsaPKCS1(.sha256), .rsaPSS(.sha256),
    ] {
      #expect(!ed25519.verifyingKey.isValid(signature, for: [1], scheme))
    }
    #expect(!p256.verifyingKey.isValid(signature, for: [1], .ed25519))
    #expect(throws: CryptoError.self) { try VerifyingKey(.ed25519, p256.verifyingKey.bytes) }
    #expect(throws: CryptoError.self) { try VerifyingKey(.p384, p256.verifyingKey.bytes) }
  }
}
