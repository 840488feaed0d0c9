package import BloomBase

/// The two hashes of a Merkle tree, RFC 9162 §2.1.1.
package enum MerkleHash: Sendable {
  /// The root of the tree without leaves: SHA-256 of nothing.
  package static let emptyRoot = SHA256.digest([UInt8]())

  /// SHA-256(00 ‖ entry).
  package static func leaf(_ entry: [UInt8]) -> Digest {
    var hash = SHA256()
    hash.update([0])
    hash.update(entry)
    return hash.digest()
  }

  /// SHA-256(01 ‖ left ‖ right).
  package static func node(_ left: Digest, _ right: Digest) -> Digest {
    var hash = SHA256()
    hash.update([1])
    hash.update(left)
    hash.update(right)
    return hash.digest()
  }
}

/// An append-only Merkle tree that makes proofs, RFC 6962 and RFC 9162 §2.1.
///
/// Keeps the hash of every complete subtree, 64 bytes a leaf. Appending is O(1) amortised, roots and
/// proofs of the present and of any earlier size are O(log n) hashes or better.
package struct MerkleTree: Sendable {
  /// `levels[k][i]` is the root of the leaves i·2^k … (i+1)·2^k − 1.
  private var levels: [[Digest]] = [[]]

  /// Creates the tree without leaves.
  package init() {}

  /// Creates a tree over leaf hashes.
  package init(leafHashes: some Sequence<Digest>) {
    for hash in leafHashes { append(leafHash: hash) }
  }

  /// The number of leaves.
  package var count: Int { levels[0].count }

  /// The root over all leaves.
  package var root: Digest { subtreeRoot(0..<count) }

  /// Appends an entry.
  package mutating func append(_ entry: [UInt8]) { append(leafHash: MerkleHash.leaf(entry)) }

  /// Appends an entry by its leaf hash.
  package mutating func append(leafHash: Digest) {
    levels[0].append(leafHash)
    var level = 0
    while levels[level].count.isMultiple(of: 2) {
      if level + 1 == levels.count { levels.append([]) }
      let pair = levels[level].suffix(2)
      levels[level + 1].append(MerkleHash.node(pair[pair.startIndex], pair[pair.startIndex + 1]))
      level += 1
    }
  }

  /// The leaf hash at an index in `0..<count`.
  package func leafHash(at index: Int) -> Digest { levels[0][index] }

  /// The root when the tree had `size` leaves; `nil` beyond the present.
  package func root(atSize size: Int) -> Digest? {
    (0...count).contains(size) ? subtreeRoot(0..<size) : nil
  }

  /// The proof that a leaf is in the tree of `size` leaves, RFC 9162 §2.1.3.1.
  ///
  /// - Returns: Nearest sibling first; `nil` unless `index < size ≤ count`.
  package func inclusionProof(index: Int, size: Int) -> [Digest]? {
    guard (0...count).contains(size), (0..<size).contains(index) else { return nil }
    var proof: [Digest] = []
    var range = 0..<size
    while range.count > 1 {
      let middle = range.lowerBound + Self.split(range.count)
      if index < middle {
        proof.append(subtreeRoot(middle..<range.upperBound))
        range = range.lowerBound..<middle
      } else {
        proof.append(subtreeRoot(range.lowerBound..<middle))
        range = middle..<range.upperBound
      }
    }
    return proof.reversed()
  }

  /// The proof that the tree of `size` leaves extends the one of `earlier`, RFC 9162 §2.1.4.1.
  ///
  /// - Returns: Empty for equal sizes; `nil` unless `0 < earlier ≤ size ≤ count`.
  package func consistencyProof(from earlier: Int, to size: Int) -> [Digest]? {
    guard (0...count).contains(size), earlier > 0, earlier <= size else { return nil }
    var proof: [Digest] = []
    var range = 0..<size
    var isWholeOldTree = true
    while earlier < range.upperBound {
      let middle = range.lowerBound + Self.split(range.count)
      if earlier <= middle {
        proof.append(subtreeRoot(middle..<range.upperBound))
        range = range.lowerBound..<middle
      } else {
        proof.append(subtreeRoot(range.lowerBound..<middle))
        range = middle..<range.upperBound
        isWholeOldTree = false
      }
    }
    if !isWholeOldTree { proof.append(subtreeRoot(range)) }
    return proof.reversed()
  }

  /// MTH of RFC 9162 §2.1.1; each part of the split that is complete is one look-up.
  private func subtreeRoot(_ range: Range<Int>) -> Digest {
    guard !range.isEmpty else { return MerkleHash.emptyRoot }
    var parts: [Digest] = []
    var start = range.lowerBound
    while start < range.upperBound {
      // The largest power of two that fits: the ranges asked for begin at a multiple of it.
      let level = Int.bitWidth - 1 - (range.upperBound - start).leadingZeroBitCount
      parts.append(levels[level][start >> level])
      start += 1 << level
    }
    var root = parts.removeLast()
    while let left = parts.popLast() { root = MerkleHash.node(left, root) }
    return root
  }

  /// The largest power of two below `count`, which is at least 2.
  private static func split(_ count: Int) -> Int {
    1 << (Int.bitWidth - 1 - (count - 1).leadingZeroBitCount)
  }
}
