package import BloomBase
package import BloomCrypto
internal import BloomRecords

/// Seals or opens the chunks of one body or one answer, in order, under nonces that count.
///
/// The keys follow from one secret; the last chunk is told apart by its associated data, so a cut
/// stream never looks complete. One owner, one thread at a time.
package struct ChunkCipher: ~Copyable, Sendable {
  private var cipher: AESGCM
  private let nonce: AEADNonce
  private var count: UInt64 = 0
  /// Whether the final chunk is done; nothing may follow.
  package private(set) var isComplete = false

  /// The cipher of a request's body.
  ///
  /// - Parameters:
  ///   - envelopeKey: 32 bytes, drawn for this request alone.
  ///   - requestNonce: From the head.
  /// - Throws: `.wrongLength` for another length of key.
  package init(envelopeKey: SecretBytes, requestNonce: Digest) throws(CryptoError) {
    let root = try HKDF.extract(salt: requestNonce.bytes, keyMaterial: envelopeKey)
    let key = try HKDF.expand(root, info: Labels.bodyKey, count: 32)
    let nonce = try HKDF.expand(root, info: Labels.bodyNonce, count: AEADNonce.byteCount)
    try self.init(key: key, nonce: nonce)
  }

  /// The cipher of an answer, derived as in Oblivious HTTP, RFC 9458 §4.4.
  ///
  /// - Parameters:
  ///   - answerSecret: Exported from the HPKE context of the wrap that was opened.
  ///   - encapsulatedKey: Of that wrap.
  ///   - responseNonce: From the answer's preamble.
  /// - Throws: `.backend` when libcrypto fails.
  package init(
    answerSecret: SecretBytes, encapsulatedKey: [UInt8], responseNonce: Digest
  ) throws(CryptoError) {
    try self.init(
      answerSecret: answerSecret, salt: encapsulatedKey + responseNonce.bytes, keyByteCount: 32)
  }

  /// The same with Oblivious HTTP's own sizes, for its vectors.
  init(answerSecret: SecretBytes, salt: [UInt8], keyByteCount: Int) throws(CryptoError) {
    let root = try HKDF.extract(salt: salt, keyMaterial: answerSecret)
    let key = try HKDF.expand(root, info: Labels.answerKey, count: keyByteCount)
    let nonce = try HKDF.expand(root, info: Labels.answerNonce, count: AEADNonce.byteCount)
    try self.init(key: key, nonce: nonce)
  }

  private init(key: SecretBytes, nonce: SecretBytes) throws(CryptoError) {
    let start = try AEADNonce(nonce)
    let cipher = try AESGCM(key: key)
    self.cipher = cipher
    self.nonce = start
  }

  /// Encrypts the end of a buffer where it stands and appends the tag.
  package mutating func seal(
    endOf buffer: inout [UInt8], from start: Int, isFinal: Bool
  ) throws(CryptoError) {
    invariant(!isComplete, "a chunk was sealed after the final one")
    let nonce = nonce.counting(count)
    if isFinal {
      let label = Labels.final
      try cipher.seal(&buffer, from: start, nonce: nonce, associatedData: label.span)
    } else {
      try cipher.seal(&buffer, from: start, nonce: nonce, associatedData: Span())
    }
    count += 1
    isComplete = isFinal
  }

  /// Opens the next chunk and appends its plaintext.
  ///
  /// - Throws: `.authenticationFailed` when it was changed, moved, repeated or belongs elsewhere,
  ///   and for every chunk after the final one.
  package mutating func open(
    _ sealed: Span<UInt8>, isFinal: Bool, appendingTo plaintext: inout [UInt8]
  ) throws(CryptoError) {
    guard !isComplete else {
      throw CryptoError(.authenticationFailed, "a chunk after the final one")
    }
    let nonce = nonce.counting(count)
    if isFinal {
      let label = Labels.final
      try cipher.open(sealed, nonce: nonce, associatedData: label.span, appendingTo: &plaintext)
    } else {
      try cipher.open(sealed, nonce: nonce, associatedData: Span(), appendingTo: &plaintext)
    }
    count += 1
    isComplete = isFinal
  }
}

/// HPKE info of the wrap to one machine: `label | 00 | node | kid`.
package enum WrapInfo: Sendable {
  /// The info for a machine and its key.
  package static func bytes(node: NodeID, key: KeyID) -> [UInt8] {
    Labels.request + [0] + node.digest.bytes + key.bytes
  }

  /// What every wrap binds: SHA-256(head ‖ body).
  package static func associatedData(head: [UInt8], body: Span<UInt8>) -> [UInt8] {
    var hash = SHA256()
    #if !MUTANT_AAD
    hash.update(head)
    hash.update(body)
    #endif
    return hash.digest().bytes
  }
}
