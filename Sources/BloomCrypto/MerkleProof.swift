package import BloomBase

/// Checks proofs about Merkle trees without having them, RFC 9162 §2.1.3.2 and §2.1.4.2.
package enum MerkleProof: Sendable {
  /// Whether a leaf is at an index of the tree with a size and a root.
  ///
  /// - Parameters:
  ///   - leafHash: From ``MerkleHash/leaf(_:)``.
  ///   - index: Below `size`.
  ///   - size: The number of leaves.
  ///   - root: From a checkpoint that was verified.
  ///   - proof: Nearest sibling first.
  /// - Returns: `false` for any proof that does not lead to the root.
  package static func isIncluded(
    leafHash: Digest, index: UInt64, size: UInt64, root: Digest, proof: [Digest]
  ) -> Bool {
    guard index < size, proof.count <= 64 else { return false }
    var position = index
    var last = size - 1
    var hash = leafHash
    for sibling in proof {
      guard last > 0 else { return false }
      if position & 1 == 1 || position == last {
        hash = MerkleHash.node(sibling, hash)
        while position & 1 == 0, position != 0 { (position, last) = (position >> 1, last >> 1) }
      } else {
        hash = MerkleHash.node(hash, sibling)
      }
      (position, last) = (position >> 1, last >> 1)
    }
    return last == 0 && hash == root
  }

  /// Whether one tree is a prefix of another.
  ///
  /// - Parameters:
  ///   - earlier: Size of the older tree, at least 1: everything extends the empty tree, which says
  ///     nothing.
  ///   - earlierRoot: Its root.
  ///   - size: Size of the newer tree.
  ///   - root: Its root.
  ///   - proof: Empty for equal sizes.
  /// - Returns: `false` for any proof that does not lead to both roots.
  package static func isConsistent(
    earlier: UInt64, earlierRoot: Digest, size: UInt64, root: Digest, proof: [Digest]
  ) -> Bool {
    guard earlier > 0, earlier <= size, proof.count <= 65 else { return false }
    guard earlier < size else { return proof.isEmpty && earlierRoot == root }
    guard !proof.isEmpty else { return false }
    // A complete older tree is itself the first node, and is not sent.
    var path = earlier & (earlier - 1) == 0 ? [earlierRoot] + proof : proof
    var position = earlier - 1
    var last = size - 1
    while position & 1 == 1 { (position, last) = (position >> 1, last >> 1) }
    var old = path.removeFirst()
    var new = old
    for node in path {
      guard last > 0 else { return false }
      if position & 1 == 1 || position == last {
        old = MerkleHash.node(node, old)
        new = MerkleHash.node(node, new)
        while position & 1 == 0, position != 0 { (position, last) = (position >> 1, last >> 1) }
      } else {
        new = MerkleHash.node(new, node)
      }
      (position, last) = (position >> 1, last >> 1)
    }
    return last == 0 && old == earlierRoot && new == root
  }
}
