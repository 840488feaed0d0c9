import BloomBase
import BloomCrypto
import BloomSeal
import BloomWire

/// A coordinator's directory: whatever its own key signs, and whatever it sends as it is.
func fuzz(_ input: [UInt8]) {
  guard let key = try? SigningKey.derive(.ed25519, seed: [1]),
    let verifier = try? DirectoryVerifier(origin: "log", key: key.verifyingKey.bytes)
  else { fatalError("no key") }
  let now = UnixTime(1_795_000_000)
  require(
    (try? verifier.snapshot(input, known: nil, now: now)) == nil, "a directory was forged")

  // A log of one entry, the input, signed as it must be: now the snapshot itself is read.
  let root = MerkleHash.leaf(SHA256.digest(input).bytes)
  guard let note = try? Checkpoint(origin: "log", size: 1, root: root)?.signed(by: [("log", key)])
  else { fatalError("no checkpoint") }
  var encoder = CBOREncoder(capacity: input.count + 512)
  encoder.array(4)
  encoder.byteString(input)
  encoder.byteString(Array(note.utf8))
  encoder.array(0)
  encoder.array(0)
  if let (snapshot, log) = try? verifier.snapshot(encoder.bytes, known: nil, now: now) {
    require(snapshot.number == 1 && log.root == root, "a snapshot of another log")
    require(abs(snapshot.time.seconds - now.seconds) <= 3_900, "a snapshot that is too old")
  }
  let tree = DirectorySnapshot.Tree(
    model: ModelID(root), tier: 0, bucket: 0, size: 1, root: MerkleHash.leaf(input))
  for indexes in [[], [0], [0, 7]] {
    let records = try? verifier.records(input, tree: tree, indexes: indexes)
    require((records?.count ?? indexes.count) == indexes.count, "records that nobody asked for")
  }
}
