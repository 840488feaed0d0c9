package import BloomBase
internal import BloomCrypto
package import BloomRecords
internal import BloomWire

/// Why a directory was not believed.
package enum DirectoryError: PublicError, Equatable {
  /// The answer is not in the protocol's form.
  case malformed
  /// The checkpoint is not signed by the pinned key.
  case signature
  /// The log no longer contains what this device saw before: history was rewritten.
  case rewritten
  /// A snapshot or record is not in the tree that the checkpoint commits to.
  case notIncluded
  /// The snapshot is too old to choose machines from.
  case stale

  /// What is wrong and what to do.
  package var publicDescription: String {
    switch self {
    case .malformed: "the coordinator's directory cannot be read"
    case .signature:
      "the directory is not signed by the key that this device knows; do not use this coordinator "
        + "unless its operator announced a new key"
    case .rewritten:
      "the coordinator shows another history than before: it may be showing you machines of its own"
    case .notIncluded: "the coordinator sent a machine that its own directory does not list"
    case .stale: "the coordinator's directory is too old; check this device's clock"
    }
  }
}

/// What this device remembers of a log: it may only grow.
package struct KnownLog: Sendable, Hashable {
  /// Entries seen.
  package var size: UInt64
  /// The root over them.
  package var root: Digest

  /// Joins the two.
  package init(size: UInt64, root: Digest) {
    self.size = size
    self.root = root
  }
}

/// A verified snapshot of the directory: which trees there are.
package struct DirectorySnapshot: Sendable, Hashable {
  /// One tree.
  package struct Tree: Sendable, Hashable {
    /// The model of its machines.
    package let model: ModelID
    /// Their tier by the coordinator's word; this device appraises each record itself.
    package let tier: UInt8
    /// Base-2 logarithm of their slots.
    package let bucket: UInt8
    /// The number of machines.
    package let size: Int
    /// The root over their records.
    package let root: Digest

    /// Sets every field.
    package init(model: ModelID, tier: UInt8, bucket: UInt8, size: Int, root: Digest) {
      self.model = model
      self.tier = tier
      self.bucket = bucket
      self.size = size
      self.root = root
    }
  }

  /// Its number, which is the log's size.
  package let number: UInt64
  /// When it was published.
  package let time: UnixTime
  /// The trees, in their order.
  package let trees: [Tree]
}

/// Checks directory answers; pure.
package struct DirectoryVerifier: Sendable {
  /// The log's name.
  package let origin: String
  /// The log's Ed25519 key.
  package let key: [UInt8]
  private let verifier: Checkpoint.Verifier
  private let maximumAgeSeconds: Int64

  /// Creates a verifier.
  ///
  /// - Parameters:
  ///   - origin: The log's name.
  ///   - key: The log's Ed25519 key, pinned when this device joined.
  ///   - maximumAgeSeconds: How old a snapshot may be.
  /// - Throws: ``DirectoryError/signature`` for a key of another kind.
  package init(origin: String, key: [UInt8], maximumAgeSeconds: Int64 = 3_900) throws {
    self.origin = origin
    self.key = key
    guard
      let verifier = Checkpoint.Verifier(name: origin, key: try VerifyingKey(.ed25519, key))
    else { throw DirectoryError.signature }
    self.verifier = verifier
    self.maximumAgeSeconds = maximumAgeSeconds
  }

  /// Checks `[snapshot, checkpoint, inclusion, consistency]`.
  ///
  /// - Parameters:
  ///   - bytes: The coordinator's answer.
  ///   - known: What this device saw before; `nil` at first.
  ///   - now: Wall clock.
  /// - Returns: The snapshot, and what to remember.
  /// - Throws: What is wrong with the answer.
  package func snapshot(
    _ bytes: [UInt8], known: KnownLog?, now: UnixTime
  ) throws -> (DirectorySnapshot, KnownLog) {
    let answer: (snapshot: [UInt8], note: [UInt8], inclusion: [Digest], consistency: [Digest])
    do {
      var reader = try CBORReader(bytes, limits: .directory)
      try reader.array("directory", count: 4)
      answer = (
        try reader.byteString("snapshot", 1...(1 << 22)),
        try reader.byteString("checkpoint", 1...(1 << 14)), try reader.digests(),
        try reader.digests()
      )
      try reader.finish()
    } catch {
      throw DirectoryError.malformed
    }
    let checkpoint: Checkpoint
    do {
      checkpoint = try Checkpoint(verifying: answer.note, origin: origin, verifiers: [verifier])
    } catch {
      throw DirectoryError.signature
    }
    let leaf = MerkleHash.leaf(SHA256.digest(answer.snapshot).bytes)
    guard checkpoint.size > 0,
      MerkleProof.isIncluded(
        leafHash: leaf, index: checkpoint.size - 1, size: checkpoint.size, root: checkpoint.root,
        proof: answer.inclusion)
    else { throw DirectoryError.notIncluded }
    if let known {
      guard
        MerkleProof.isConsistent(
          earlier: known.size, earlierRoot: known.root, size: checkpoint.size,
          root: checkpoint.root, proof: answer.consistency)
      else { throw DirectoryError.rewritten }
    }
    let snapshot = try read(answer.snapshot)
    guard snapshot.number == checkpoint.size else { throw DirectoryError.notIncluded }
    guard abs(now.seconds - snapshot.time.seconds) <= maximumAgeSeconds else {
      throw DirectoryError.stale
    }
    return (snapshot, KnownLog(size: checkpoint.size, root: checkpoint.root))
  }

  private func read(_ bytes: [UInt8]) throws -> DirectorySnapshot {
    do {
      var reader = try CBORReader(bytes, limits: .directory)
      try reader.array("snapshot", count: 4)
      guard try reader.unsigned("version") == 1 else { throw DirectoryError.malformed }
      let number = try reader.unsigned("number")
      let time = try reader.time("time")
      let trees = try reader.list("trees", maximum: 65_536) { (reader) throws(WireError) in
        try reader.array("tree", count: 5)
        return DirectorySnapshot.Tree(
          model: try reader.modelID("model"),
          tier: UInt8(try reader.unsigned("tier", maximum: 255)),
          bucket: UInt8(try reader.unsigned("bucket", maximum: 15)),
          size: try reader.count("size", maximum: 1 << 24), root: try reader.digest("root"))
      }
      try reader.finish()
      return DirectorySnapshot(number: number, time: time, trees: trees)
    } catch {
      throw DirectoryError.malformed
    }
  }

  /// Checks `[[record, proof], …]` of one tree.
  ///
  /// - Returns: The records with their signatures verified, in the order asked; not yet appraised.
  package func records(
    _ bytes: [UInt8], tree: DirectorySnapshot.Tree, indexes: [Int]
  ) throws -> [NodeRecord] {
    var pairs: [([UInt8], [Digest])] = []
    do {
      var reader = try CBORReader(bytes, limits: .directory)
      pairs = try reader.list("records", maximum: 256) { (reader) throws(WireError) in
        try reader.array("record", count: 2)
        return (try reader.byteString("record", 1...Limits.record), try reader.digests())
      }
      try reader.finish()
    } catch {
      throw DirectoryError.malformed
    }
    guard pairs.count == indexes.count else { throw DirectoryError.malformed }
    var records: [NodeRecord] = []
    for ((record, proof), index) in zip(pairs, indexes) {
      guard
        MerkleProof.isIncluded(
          leafHash: MerkleHash.leaf(record), index: UInt64(index), size: UInt64(tree.size),
          root: tree.root, proof: proof)
      else { throw DirectoryError.notIncluded }
      records.append(try NodeRecord(verifying: record))
    }
    return records
  }
}

extension CBORLimits {
  /// A whole directory answer.
  fileprivate static let directory = CBORLimits(byteCount: 16 << 20, depth: 8, itemCount: 1 << 20)
}

extension CBORReader {
  fileprivate mutating func digests() throws(WireError) -> [Digest] {
    try list("proof", maximum: 64) { (reader) throws(WireError) in try reader.digest("hash") }
  }
}
