import BloomBase
import BloomWire
import Testing

@testable import BloomCrypto
@testable import BloomHPKE

@Suite struct HPKETests {
  @Test func `every value of RFC 9180's vectors is reproduced`() throws {
    let file = try Vectors.json("hpke/rfc9180.json")
    let vectors = try #require(file["vectors"]?.items)
    #expect(vectors.count == 4)
    for vector in vectors {
      let kemNumber = UInt16(try #require(vector["kem_id"]?.integer))
      let aeadNumber = UInt16(try #require(vector["aead_id"]?.integer))
      let kem = try #require(KEM(rawValue: kemNumber))
      let aead = try #require(HPKEAEAD(rawValue: aeadNumber))
      let suite = HPKESuite(kem, aead)
      let info = try vector.hex("info")
      let recipientKey = try SoftwareKEMKey.derive(
        kem, keyMaterial: SecretBytes(try vector.hex("ikmR")))
      let ephemeral = try SoftwareKEMKey.derive(
        kem, keyMaterial: SecretBytes(try vector.hex("ikmE")))
      #expect(recipientKey.exposedScalar == (try vector.hex("skRm")))
      #expect(recipientKey.publicKey.bytes == (try vector.hex("pkRm")))
      #expect(ephemeral.exposedScalar == (try vector.hex("skEm")))
      var sender = try HPKESender(
        to: recipientKey.publicKey, suite: suite, info: info, ephemeral: ephemeral)
      let encapsulatedKey = sender.encapsulatedKey
      #expect(encapsulatedKey == (try vector.hex("enc")))
      var recipient = try HPKERecipient(
        encapsulatedKey: encapsulatedKey, key: recipientKey, suite: suite, info: info)

      var sequence: Int64 = 0
      for message in try #require(vector["encryptions"]?.items) {
        let number = try #require(message["seq"]?.integer)
        while sequence < number {
          let skipped = try sender.seal([1], associatedData: [])
          _ = try recipient.open(skipped, associatedData: [])
          sequence += 1
        }
        let plaintext = try message.hex("pt")
        let data = try message.hex("aad")
        let sealed = try sender.seal(plaintext, associatedData: data)
        #expect(sealed == (try message.hex("ct")))
        let opened = try recipient.open(sealed, associatedData: data)
        #expect(opened == plaintext)
        sequence += 1
      }
      for export in try #require(vector["exports"]?.items) {
        let count = Int(try #require(export["L"]?.integer))
        let label = try export.hex("exporter_context")
        let mine = try sender.export(label, count: count).exposed()
        let theirs = try recipient.export(label, count: count).exposed()
        #expect(mine == (try export.hex("exported_value")))
        #expect(theirs == mine)
      }
    }
  }

  @Test(arguments: KEM.allCases)
  func `a message opens only with its key, info, order and data`(kem: KEM) throws {
    let suite = HPKESuite(kem, .aes256GCM)
    let key = try SoftwareKEMKey.generate(kem)
    let other = try SoftwareKEMKey.generate(kem)
    var sender = try HPKESender(to: key.publicKey, suite: suite, info: [1])
    let encapsulated = sender.encapsulatedKey
    let first = try sender.seal([7], associatedData: [2])
    let second = try sender.seal([8], associatedData: [2])

    func opened(
      _ sealed: [UInt8], _ key: SoftwareKEMKey, _ info: [UInt8], _ data: [UInt8],
      _ suite: HPKESuite
    ) throws -> [UInt8] {
      var recipient = try HPKERecipient(
        encapsulatedKey: encapsulated, key: key, suite: suite, info: info)
      return try recipient.open(sealed, associatedData: data)
    }
    #expect(try opened(first, key, [1], [2], suite) == [7])
    #expect(throws: CryptoError.self) { try opened(second, key, [1], [2], suite) }
    #expect(throws: CryptoError.self) { try opened(first, other, [1], [2], suite) }
    #expect(throws: CryptoError.self) { try opened(first, key, [], [2], suite) }
    #expect(throws: CryptoError.self) { try opened(first, key, [1], [], suite) }
    #expect(throws: CryptoError.self) {
      try opened(first, key, [1], [2], HPKESuite(kem, .aes128GCM))
    }

    // A refused message does not move the counter.
    var recipient = try HPKERecipient(
      encapsulatedKey: encapsulated, key: key, suite: suite, info: [1])
    var refused = false
    do { _ = try recipient.open(second, associatedData: [2]) } catch { refused = true }
    #expect(refused)
    let ordered = try [
      recipient.open(first, associatedData: [2]), recipient.open(second, associatedData: [2]),
    ]
    #expect(ordered == [[7], [8]])
  }

  @Test(arguments: KEM.allCases)
  func `every flipped bit of an encapsulated key is refused`(kem: KEM) throws {
    let suite = HPKESuite(kem, .aes256GCM)
    let key = try SoftwareKEMKey.generate(kem)
    var sender = try HPKESender(to: key.publicKey, suite: suite, info: [])
    let encapsulated = sender.encapsulatedKey
    let sealed = try sender.seal([7], associatedData: [])
    for bit in 0..<encapsulated.count * 8 {
      var changed = encapsulated
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: CryptoError.self, "bit \(bit)") {
        var recipient = try HPKERecipient(
          encapsulatedKey: changed, key: key, suite: suite, info: [])
        _ = try recipient.open(sealed, associatedData: [])
      }
    }
    for count in [0, 1, encapsulated.count - 1] {
      #expect(throws: CryptoError.self) {
        _ = try HPKERecipient(
          encapsulatedKey: Array(encapsulated.prefix(count)), key: key, suite: suite, info: [])
      }
    }
  }

  @Test func `points off the curve, at infinity or compressed are refused`() throws {
    let point = try SoftwareKEMKey.generate(.p256).publicKey.bytes
    let compressed = [2 | point[64] & 1] + point[1...32]
    let hybrid = [6 | point[64] & 1] + point[1...64]
    var offCurve = point
    offCurve[64] ^= 1
    let prime =
      try #require(
        Hex.decode("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"))
    let bad: [[UInt8]] = [
      [], [0], compressed, hybrid, offCurve, point + [0], Array(point.dropLast()),
      [UInt8](repeating: 0, count: 65), [4] + [UInt8](repeating: 0, count: 64),
      [4] + prime + point[33...],
    ]
    for bytes in bad {
      let error = #expect(throws: CryptoError.self) { try KEMPublicKey(.p256, bytes) }
      #expect(error?.code == .invalidKey)
    }
    _ = try KEMPublicKey(.p256, point)
  }

  @Test func `X25519 peers of small order are refused`() throws {
    let key = try SoftwareKEMKey.generate(.x25519)
    let small = [
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    for text in small {
      let bytes = try #require(Hex.decode(text))
      let peer = try KEMPublicKey(.x25519, bytes)
      #expect(throws: CryptoError.self) { try key.sharedSecret(with: peer) }
      #expect(throws: CryptoError.self) {
        _ = try HPKESender(to: peer, suite: .x25519, info: [])
      }
    }
  }

  /// RFC 7748 §5.2.
  @Test func `X25519 gives the published secrets`() throws {
    let cases = [
      (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
      ),
      (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"
      ),
    ]
    for (scalar, peer, expected) in cases {
      let scalarBytes = try #require(Hex.decode(scalar))
      let peerBytes = try #require(Hex.decode(peer))
      let key = try SoftwareKEMKey(.x25519, scalar: SecretBytes(scalarBytes))
      let shared = try key.sharedSecret(with: KEMPublicKey(.x25519, peerBytes))
      #expect(Hex.encode(shared.exposed()) == expected)
    }
  }

  @Test func `scalars out of range are refused`() throws {
    let order = try #require(
      Hex.decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"))
    for scalar in [
      [UInt8](repeating: 0, count: 32), order, [UInt8](repeating: 255, count: 32), [1],
    ] {
      #expect(throws: CryptoError.self) {
        try SoftwareKEMKey(.p256, scalar: SecretBytes(scalar))
      }
    }
    var last = order
    last[31] -= 1
    _ = try SoftwareKEMKey(.p256, scalar: SecretBytes(last))
  }

  @Test func `keys of another KEM are refused`() throws {
    let key = try SoftwareKEMKey.generate(.x25519)
    #expect(throws: CryptoError.self) {
      _ = try HPKESender(to: key.publicKey, suite: .p256, info: [])
    }
    #expect(throws: CryptoError.self) {
      _ = try HPKERecipient(
        encapsulatedKey: key.publicKey.bytes, key: key, suite: .p256, info: [])
    }
  }

  @Test func `suites have one form`() throws {
    #expect(HPKESuite.p256.bytes == [0, 0x10, 0, 1, 0, 2])
    #expect(HPKESuite.x25519.description == "002000010002")
    for kem in KEM.allCases {
      for aead in HPKEAEAD.allCases {
        let suite = HPKESuite(kem, aead)
        #expect(HPKESuite(suite.bytes) == suite)
      }
    }
    for bad: [UInt8] in [
      [], [0, 0x10, 0, 1, 0], [0, 0x10, 0, 2, 0, 2], [0, 0x11, 0, 1, 0, 2], [0, 0x10, 0, 1, 0, 3],
      [0, 0x10, 0, 1, 0, 2, 0],
    ] {
      #expect(HPKESuite(bad) == nil)
    }
  }

  @Test func `a key identifier is the beginning of the key's hash`() throws {
    let key = try SoftwareKEMKey.generate(.p256).publicKey
    #expect(key.keyID.bytes == Array(SHA256.hash(key.bytes).prefix(8)))
  }
}
