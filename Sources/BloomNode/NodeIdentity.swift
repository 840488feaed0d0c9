package import BloomBase
package import BloomCrypto
package import BloomRecords
package import BloomWire

/// A machine's identity: the key that signs key statements and link proofs, wherever it is kept.
package struct NodeIdentity: Sendable {
  /// HIK; a signer in hardware blocks while it signs.
  package let signer: any MessageSigner
  /// What keeps the key; evidence must prove anything but `none`.
  package let platform: Platform
  /// The machine, on every network.
  package let nodeID: NodeID

  /// Wraps a P-256 key.
  package init(signer: any MessageSigner, platform: Platform) throws(NodeError) {
    guard signer.verifyingKey.kind == .p256 else {
      throw NodeError(.badIdentity, "the identity key is not a P-256 key")
    }
    self.signer = signer
    self.platform = platform
    nodeID = KeyStatement.nodeID(of: signer.verifyingKey)
  }

  /// The file's name in the data folder.
  package static let fileName = "identity.p8"

  /// The software identity of a data folder: PKCS #8, mode 0600, made once; tier `software`.
  ///
  /// Blocks on the disk. Two processes that make it at once get the same one.
  /// - Throws: ``NodeError`` `badIdentity` when others can read the file or it is not such a key.
  package static func software(folder path: String) throws(NodeError) -> NodeIdentity {
    let folder = try StateFolder(creating: path)
    if let identity = try stored(folder) { return identity }
    var bytes = try newKey()
    defer { wipe(&bytes) }
    _ = try folder.create(fileName, bytes)
    guard let identity = try stored(folder) else {
      throw NodeError(.badIdentity, "the identity file vanished while it was made")
    }
    return identity
  }

  /// The members of a request in which the machine shows its identity to a network.
  ///
  /// - Parameters:
  ///   - purpose: What is asked for.
  ///   - challenge: The coordinator's, 32 bytes.
  ///   - logKey: The network's, as pinned when it was joined.
  /// - Returns: The identity's key, the challenge and the signature, in hexadecimal digits.
  /// - Throws: What the signer throws.
  package func enrolmentProof(
    _ purpose: EnrolmentProof.Purpose, challenge: [UInt8], logKey: [UInt8]
  ) throws -> [JSONValue.Member] {
    let message = EnrolmentProof.message(purpose, challenge: challenge, logKey: logKey)
    let signature = try signer.sign(message)
    return [
      .init("identity", .string(Hex.encode(signer.verifyingKey.subjectPublicKeyInfo))),
      .init("challenge", .string(Hex.encode(challenge))),
      .init("signature", .string(Hex.encode(signature))),
    ]
  }

  /// Whether a data folder holds an identity; nothing is made.
  package static func exists(in folder: String) -> Bool {
    StateFolder(existing: folder).mode(of: fileName) != nil
  }

  private static func stored(_ folder: StateFolder) throws(NodeError) -> NodeIdentity? {
    guard let mode = folder.mode(of: fileName) else { return nil }
    guard mode & 0o077 == 0 else {
      throw NodeError(
        .badIdentity, "others can read the identity file")
    }
    guard var bytes = try folder.read(fileName) else { return nil }
    defer { wipe(&bytes) }
    let key: SigningKey
    do throws(CryptoError) {
      key = try SigningKey(pkcs8: SecretBytes(bytes))
    } catch {
      throw NodeError(.badIdentity, "the identity file is damaged")
    }
    return try NodeIdentity(signer: key, platform: .none)
  }

  private static func newKey() throws(NodeError) -> [UInt8] {
    do throws(CryptoError) {
      return try SigningKey.generate(.p256).pkcs8().exposed()
    } catch {
      throw NodeError(.badIdentity, error.publicDescription)
    }
  }
}
