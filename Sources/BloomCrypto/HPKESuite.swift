internal import BloomBase

/// A key encapsulation mechanism of HPKE, RFC 9180 §7.1; the raw value is its registered number.
package enum KEM: UInt16, Hashable, Sendable, CaseIterable {
  /// DHKEM(P-256, HKDF-SHA256): what Secure Enclave, TPM 2.0 and browsers share.
  case p256 = 0x0010
  /// DHKEM(X25519, HKDF-SHA256).
  case x25519 = 0x0020

  /// Bytes of a serialized public key and of an encapsulated key.
  package var publicKeyByteCount: Int { self == .p256 ? 65 : 32 }

  /// "KEM" ‖ number, RFC 9180 §4.1.
  package var suiteIdentifier: [UInt8] {
    Array("KEM".utf8) + [UInt8(rawValue >> 8), UInt8(truncatingIfNeeded: rawValue)]
  }
}

/// The AEAD of an HPKE suite, RFC 9180 §7.3.
package enum HPKEAEAD: UInt16, Hashable, Sendable, CaseIterable {
  /// Only for interoperation tests.
  case aes128GCM = 1
  case aes256GCM = 2

  /// Nk.
  package var keyByteCount: Int { self == .aes128GCM ? 16 : 32 }
}

/// An HPKE ciphersuite; the KDF is always HKDF-SHA256 (0x0001).
package struct HPKESuite: Hashable, Sendable, CustomStringConvertible {
  /// 6: three 16-bit numbers.
  package static let byteCount = 6
  /// `0010 0001 0002`, which every node has.
  package static let p256 = HPKESuite(.p256, .aes256GCM)
  /// `0020 0001 0002`.
  package static let x25519 = HPKESuite(.x25519, .aes256GCM)

  /// The key encapsulation.
  package let kem: KEM
  /// The encryption.
  package let aead: HPKEAEAD

  /// Joins a KEM and an AEAD.
  package init(_ kem: KEM, _ aead: HPKEAEAD) {
    self.kem = kem
    self.aead = aead
  }

  /// Reads `kem ‖ kdf ‖ aead`; `nil` for anything we do not have.
  package init?(_ bytes: some Collection<UInt8>) {
    let bytes = Array(bytes)
    guard bytes.count == Self.byteCount, bytes[2] == 0, bytes[3] == 1,
      let kem = KEM(rawValue: UInt16(bytes[0]) << 8 | UInt16(bytes[1])),
      let aead = HPKEAEAD(rawValue: UInt16(bytes[4]) << 8 | UInt16(bytes[5]))
    else { return nil }
    self.init(kem, aead)
  }

  /// `kem ‖ kdf ‖ aead`, big-endian.
  package var bytes: [UInt8] {
    [
      UInt8(kem.rawValue >> 8), UInt8(truncatingIfNeeded: kem.rawValue), 0, 1,
      UInt8(aead.rawValue >> 8), UInt8(truncatingIfNeeded: aead.rawValue),
    ]
  }

  /// 12 hexadecimal digits.
  package var description: String { Hex.encode(bytes) }

  /// "HPKE" ‖ numbers, RFC 9180 §5.1.
  package var identifier: [UInt8] { Array("HPKE".utf8) + bytes }
}
