internal import BloomCrypto

/// LabeledExtract and LabeledExpand, RFC 9180 §4.
struct LabeledKDF: Sendable {
  private let suiteIdentifier: [UInt8]

  init(_ suiteIdentifier: [UInt8]) { self.suiteIdentifier = suiteIdentifier }

  /// Extracts from a secret; `salt` `nil` is the empty string.
  func extract(salt: SecretBytes?, _ label: StaticString, _ keyMaterial: SecretBytes)
    throws(CryptoError) -> SecretBytes
  {
    try extract(salt: salt, label) { (code) in
      keyMaterial.withBytes { (bytes) in code.update(bytes) }
    }
  }

  /// Extracts from public bytes; `salt` `nil` is the empty string.
  func extract(salt: SecretBytes?, _ label: StaticString, _ keyMaterial: [UInt8])
    throws(CryptoError) -> SecretBytes
  {
    try extract(salt: salt, label) { (code) in code.update(keyMaterial) }
  }

  /// Expands a key for one labelled purpose.
  func expand(
    _ key: SecretBytes, _ label: StaticString, _ info: [UInt8], _ count: Int,
    in owner: (any SecretMemory)? = nil
  ) throws(CryptoError) -> SecretBytes {
    try HKDF.expand(key, count: count, in: owner) { (code) in
      code.update([UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)])
      code.update("HPKE-v1")
      code.update(suiteIdentifier)
      code.update(label)
      code.update(info)
    }
  }

  private func extract(
    salt: SecretBytes?, _ label: StaticString, feeding feed: (inout HMAC<SHA256>) -> Void
  ) throws(CryptoError) -> SecretBytes {
    let empty: [UInt8] = []
    var code = if let salt { HMAC<SHA256>(key: salt) } else { HMAC<SHA256>(key: empty.span) }
    defer { code.wipe() }
    code.update("HPKE-v1")
    code.update(suiteIdentifier)
    code.update(label)
    feed(&code)
    return try HKDF.secret(&code)
  }
}
