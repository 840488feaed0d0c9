package import BloomBase
package import BloomCrypto
package import BloomRecords

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

  private static func stored(_ folder: StateFolder) throws(NodeError) -> NodeIdentity? {
    guard let mode = folder.mode(of: fileName) else { return nil }
    guard mode & 0o077 == 0 else {
      throw NodeError(
        .badIdentity, "others can read the identity file; run: chmod 600 on \(fileName)")
    }
    guard var bytes = try folder.read(fileName) else { return nil }
    defer { wipe(&bytes) }
    let key: SigningKey
    do throws(CryptoError) {
      key = try SigningKey(pkcs8: SecretBytes(bytes))
    } catch {
      throw NodeError(.badIdentity, "the identity file is damaged; restore it from a backup")
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
