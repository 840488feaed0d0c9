package import BloomBase

/// A log's commitment to all its entries, signed: C2SP tlog-checkpoint in a C2SP signed-note.
package struct Checkpoint: Hashable, Sendable {
  /// The longest note we read.
  package static let maximumByteCount = 1 << 14
  /// The most signatures of a note we look at.
  package static let maximumSignatures = 16

  /// Who may sign: the name and the Ed25519 key, C2SP signed-note "Ed25519".
  package struct Verifier: Hashable, Sendable {
    /// Without spaces, plus signs or control characters.
    package let name: String
    /// An Ed25519 key.
    package let key: VerifyingKey

    /// Joins a name and a key; `nil` for a name the format forbids or another kind of key.
    package init?(name: String, key: VerifyingKey) {
      guard Checkpoint.isKeyName(name), key.kind == .ed25519 else { return nil }
      self.name = name
      self.key = key
    }

    /// The first 4 bytes of SHA-256(name ‖ "\n" ‖ 01 ‖ key).
    package var keyHash: [UInt8] {
      Array(SHA256.hash(Array(name.utf8) + [0x0a, 1] + key.bytes).prefix(4))
    }

    /// The key's text: name ‖ "+" ‖ hexadecimal key hash ‖ "+" ‖ base64 of type and key.
    package var description: String {
      "\(name)+\(Hex.encode(keyHash))+\(Base64.encode([1] + key.bytes))"
    }
  }

  /// The log's unique name, the first line.
  package let origin: String
  /// The number of entries.
  package let size: UInt64
  /// The root over them.
  package let root: Digest
  /// Further lines that the signature covers, for example the directory's digest.
  package let extensionLines: [String]

  /// Makes a checkpoint; `nil` when a line is empty, has a control character or is too long.
  package init?(origin: String, size: UInt64, root: Digest, extensionLines: [String] = []) {
    guard Self.isLine(origin), extensionLines.allSatisfy(Self.isLine), extensionLines.count <= 16
    else { return nil }
    self.origin = origin
    self.size = size
    self.root = root
    self.extensionLines = extensionLines
  }

  /// What is signed: each line with its line feed.
  package var text: String {
    ([origin, "\(size)", Base64.encode(root.bytes)] + extensionLines)
      .map { $0 + "\n" }.joined()
  }

  /// The note signed by some keys.
  ///
  /// - Throws: `.unsupported` when a signer is not an Ed25519 key or a name is forbidden; what a
  ///   signer throws.
  package func signed(by signers: [(name: String, signer: any MessageSigner)])
    throws(CryptoError) -> String
  {
    var note = text + "\n"
    for (name, signer) in signers {
      guard let verifier = Verifier(name: name, key: signer.verifyingKey) else {
        throw CryptoError(.unsupported, "a checkpoint's signing key")
      }
      let signature = try signer.sign(Array(text.utf8))
      note += "\u{2014} \(name) \(Base64.encode(verifier.keyHash + signature))\n"
    }
    return note
  }

  /// Reads a note and checks it.
  ///
  /// Signatures by names or keys that are not in `verifiers` are ignored, as the format asks; a
  /// known key's signature that does not verify refuses the whole note.
  ///
  /// - Parameters:
  ///   - note: UTF-8, at most 16 KiB.
  ///   - origin: The log's name that is expected.
  ///   - verifiers: All of them must have signed.
  /// - Throws: `.malformed`, `.invalidSignature`, or `.refused` for another log or a missing
  ///   signature.
  package init(verifying note: [UInt8], origin: String, verifiers: [Verifier])
    throws(CryptoError)
  {
    let (checkpoint, text, signatures) = try Self.parse(note)
    guard checkpoint.origin == origin else {
      throw CryptoError(.refused, "a checkpoint of another log")
    }
    guard !verifiers.isEmpty else {
      throw CryptoError(.refused, "a checkpoint without a known signer")
    }
    for verifier in verifiers {
      let own = signatures.filter { $0.name == verifier.name && $0.keyHash == verifier.keyHash }
      guard !own.isEmpty else {
        throw CryptoError(.refused, "a checkpoint without a required signature")
      }
      for signature in own {
        try verifier.key.verify(signature.bytes, for: text, .ed25519, context: "a checkpoint")
      }
    }
    self = checkpoint
  }

  /// One signature line.
  private struct Line {
    let name: String
    let keyHash: [UInt8]
    let bytes: [UInt8]
  }

  private static let refusal = CryptoError(.malformed, "a checkpoint")

  private static func parse(_ note: [UInt8]) throws(CryptoError)
    -> (Checkpoint, text: [UInt8], [Line])
  {
    guard note.count <= maximumByteCount, note.last == 0x0a,
      String(validating: note, as: UTF8.self) != nil,
      note.allSatisfy({ $0 >= 0x20 || $0 == 0x0a })
    else { throw refusal }
    // The text ends at the last empty line; the signatures follow it.
    guard let end = note.indices.dropLast().last(where: { note[$0] == 10 && note[$0 + 1] == 10 })
    else { throw refusal }
    let text = Array(note[...end])
    let lines = lines(text[...])
    guard (3...19).contains(lines.count), let size = decimal(lines[1]),
      let rootBytes = Base64.decode(lines[2]), let root = Digest(rootBytes),
      let checkpoint = Checkpoint(
        origin: lines[0], size: size, root: root, extensionLines: Array(lines[3...]))
    else { throw refusal }

    let signatureLines = Self.lines(note[(end + 2)...])
    guard (1...maximumSignatures).contains(signatureLines.count) else { throw refusal }
    var signatures: [Line] = []
    for line in signatureLines { signatures.append(try signature(line)) }
    return (checkpoint, text, signatures)
  }

  private static func signature(_ line: String) throws(CryptoError) -> Line {
    let parts = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3, parts[0] == "\u{2014}", isKeyName(parts[1]),
      let bytes = Base64.decode(parts[2]), bytes.count > 4
    else { throw refusal }
    return Line(name: parts[1], keyHash: Array(bytes.prefix(4)), bytes: Array(bytes.dropFirst(4)))
  }

  /// Lines that each end in a line feed.
  private static func lines(_ bytes: ArraySlice<UInt8>) -> [String] {
    bytes.dropLast().split(separator: 10, omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  /// A decimal number without leading zeros.
  private static func decimal(_ text: String) -> UInt64? {
    guard let number = UInt64(text), "\(number)" == text else { return nil }
    return number
  }

  private static func isLine(_ text: String) -> Bool {
    (1...1024).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
  }

  private static func isKeyName(_ text: String) -> Bool {
    isLine(text)
      && text.unicodeScalars.allSatisfy { $0 != "+" && !$0.properties.isWhitespace }
  }
}
