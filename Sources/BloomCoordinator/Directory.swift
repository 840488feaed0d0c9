internal import BloomSchedule
internal import BloomWire
package import BloomBase
package import BloomCrypto
internal import BloomRecords

/// The connected nodes, published as Merkle trees whose roots go into an append-only log.
///
/// One tree for each (model, tier, capacity bucket). A snapshot lists them; its digest is a leaf of
/// the log, and the log's checkpoint is signed. Clients fetch records by index with proofs, so the
/// coordinator does not learn which machines they would have liked.
package struct Directory: Sendable {
  /// What distinguishes the trees.
  package struct Key: Hashable, Sendable, Comparable {
    let model: ModelID
    let tier: UInt8
    let bucket: UInt8

    package static func < (a: Key, b: Key) -> Bool {
      (a.model, a.tier, a.bucket) < (b.model, b.tier, b.bucket)
    }
  }

  /// One published state; requests are answered from the newest few.
  package struct Snapshot: Sendable {
    /// Counts up from 1: also the log's size after this snapshot.
    package let number: UInt64
    /// When it was made.
    package let time: UnixTime
    /// `[1, number, time, [[model, tier, bucket, size, root], …]]`.
    package let encoded: [UInt8]
    /// The signed note of the log that ends with this snapshot.
    package let checkpoint: [UInt8]
    let keys: [Key]
    let trees: [MerkleTree]
    let records: [[RecordShelf.Place]]
  }

  /// A state that is ready to be published once its leaf is on disk.
  package struct Draft: Sendable {
    /// What must be kept before the snapshot is shown: the log goes on from it after a restart.
    package let leaf: Digest
    fileprivate let snapshot: Snapshot
    fileprivate let log: MerkleTree
    fileprivate let revision: UInt64
  }

  /// How many snapshots stay available for clients that are fetching records.
  private static let keptSnapshots = 4
  /// A snapshot is published again when it gets this old, so that clients don't find it stale.
  private static let maximumAgeSeconds: Int64 = 1800

  /// The log's name.
  package let origin: String
  let signer: SigningKey
  private var log = MerkleTree()
  private var nodes: [NodeID: AppraisedRecord] = [:]
  private var revision: UInt64 = 1
  private var publishedRevision: UInt64 = 0
  private var snapshots: [Snapshot] = []

  /// The state that clients see; `nil` before the first.
  package var newest: Snapshot? { snapshots.first }

  /// Creates an empty directory.
  ///
  /// - Parameters:
  ///   - origin: The log's unique name, the first line of its checkpoints.
  ///   - signer: The log's Ed25519 key.
  ///   - leaves: Leaf hashes of earlier snapshots, so that the log goes on after a restart.
  package init(origin: String, signer: SigningKey, leaves: [Digest] = []) {
    self.origin = origin
    self.signer = signer
    log = MerkleTree(leafHashes: leaves)
  }

  /// The number of connected nodes.
  package var nodeCount: Int { nodes.count }

  /// Whether there is something that clients have not been shown.
  package var isChanged: Bool { revision != publishedRevision }

  /// The models that connected nodes serve, with how many serve each.
  package var models: [ModelID: Int] {
    var counts: [ModelID: Int] = [:]
    for node in nodes.values {
      for model in Set(node.profile.keys.map(\.model)) { counts[model, default: 0] += 1 }
    }
    return counts
  }

  /// A node is connected, or has a new record.
  mutating func insert(_ record: AppraisedRecord) {
    nodes[record.profile.node] = record
    revision += 1
  }

  /// A node is gone.
  mutating func remove(_ node: NodeID) {
    if nodes.removeValue(forKey: node) != nil { revision += 1 }
  }

  /// Publishes what changed since the last snapshot, keeping the log in memory only.
  ///
  /// - Returns: Whether there was anything new.
  /// - Throws: What the signer throws.
  @discardableResult
  package mutating func publish(now: UnixTime) throws -> Bool {
    guard let draft = try draft(now: now) else { return false }
    adopt(draft)
    return true
  }

  /// The next snapshot, signed; `nil` when clients have seen everything and recently.
  ///
  /// - Throws: What the signer throws.
  package mutating func draft(now: UnixTime) throws -> Draft? {
    let before = nodes.count
    nodes = nodes.filter { $0.value.offer.validity.isOffered(at: now) }
    if nodes.count != before { revision += 1 }
    let isOld = newest.map { now.seconds - $0.time.seconds >= Self.maximumAgeSeconds } ?? true
    guard isChanged || isOld else { return nil }
    var byKey: [Key: [(NodeID, AppraisedRecord)]] = [:]
    for (id, node) in nodes {
      let bucket = node.offer.capacityBucket
      for model in Set(node.profile.keys.map(\.model)) {
        let key = Key(model: model, tier: node.tier.rawValue, bucket: bucket)
        byKey[key, default: []].append((id, node))
      }
    }
    let keys = byKey.keys.sorted()
    let records = keys.map { key in
      (byKey[key] ?? []).sorted { $0.0 < $1.0 }.map(\.1)
    }
    let trees = records.map { MerkleTree(leafHashes: $0.map(\.leaf)) }
    let number = UInt64(log.count) + 1
    let encoded = Self.encode(number, now, keys, trees)
    var grown = log
    grown.append(SHA256.digest(encoded).bytes)
    guard
      let checkpoint = Checkpoint(origin: origin, size: number, root: grown.root)
    else { return nil }
    let note = try checkpoint.signed(by: [(name: origin, signer: signer)])
    let snapshot = Snapshot(
      number: number, time: now, encoded: encoded, checkpoint: Array(note.utf8), keys: keys,
      trees: trees, records: records.map { $0.map(\.place) })
    return Draft(
      leaf: grown.leafHash(at: grown.count - 1), snapshot: snapshot, log: grown,
      revision: revision)
  }

  /// Shows a snapshot to clients; one of an older log is dropped.
  package mutating func adopt(_ draft: Draft) {
    guard draft.log.count == log.count + 1 else { return }
    log = draft.log
    publishedRevision = draft.revision
    snapshots.insert(draft.snapshot, at: 0)
    if snapshots.count > Self.keptSnapshots { snapshots.removeLast() }
  }

  private static func encode(
    _ number: UInt64, _ now: UnixTime, _ keys: [Key], _ trees: [MerkleTree]
  ) -> [UInt8] {
    var encoder = CBOREncoder(capacity: 128 + keys.count * 80)
    encoder.array(4)
    encoder.unsigned(1)
    encoder.unsigned(number)
    encoder.integer(now.seconds)
    encoder.array(keys.count)
    for (key, tree) in zip(keys, trees) {
      encoder.array(5)
      encoder.byteString(key.model.digest.bytes)
      encoder.unsigned(UInt64(key.tier))
      encoder.unsigned(UInt64(key.bucket))
      encoder.unsigned(UInt64(tree.count))
      encoder.byteString(tree.root.bytes)
    }
    return encoder.bytes
  }

  // MARK: Answers

  /// `[snapshot, checkpoint, inclusion proof, consistency proof from `earlier`]`.
  ///
  /// - Parameter earlier: The size of the log that the client knows; 0 for none.
  /// - Returns: `nil` before the first snapshot, or when the log never had that size.
  package func answer(earlier: Int) -> [UInt8]? {
    guard let newest, let size = Int(exactly: newest.number),
      let inclusion = log.inclusionProof(index: size - 1, size: size)
    else { return nil }
    var consistency: [Digest] = []
    if earlier > 0 {
      guard let proof = log.consistencyProof(from: earlier, to: size) else { return nil }
      consistency = proof
    }
    var encoder = CBOREncoder(capacity: newest.encoded.count + 1024)
    encoder.array(4)
    encoder.byteString(newest.encoded)
    encoder.byteString(newest.checkpoint)
    encoder.digests(inclusion)
    encoder.digests(consistency)
    return encoder.bytes
  }

  /// `[[record, inclusion proof], …]` of a tree's indexes, in the order asked.
  ///
  /// - Returns: `nil` for a snapshot, tree or index that is not there any more.
  package func answer(snapshot: UInt64, tree: Int, indexes: [Int]) -> [UInt8]? {
    guard
      let snapshot = snapshots.first(where: { $0.number == snapshot }),
      snapshot.trees.indices.contains(tree), indexes.count <= 256
    else { return nil }
    var encoder = CBOREncoder(capacity: indexes.count * 2048)
    encoder.array(indexes.count)
    for index in indexes {
      guard snapshot.records[tree].indices.contains(index),
        let record = snapshot.records[tree][index].bytes,
        let proof = snapshot.trees[tree].inclusionProof(
          index: index, size: snapshot.trees[tree].count)
      else { return nil }
      encoder.array(2)
      encoder.byteString(record)
      encoder.digests(proof)
    }
    return encoder.bytes
  }
}

extension CBOREncoder {
  fileprivate mutating func digests(_ digests: [Digest]) {
    array(digests.count)
    for digest in digests { byteString(digest.bytes) }
  }
}
