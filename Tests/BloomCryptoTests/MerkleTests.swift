import BloomBase
import BloomWire
import Testing

@testable import BloomCrypto

@Suite struct MerkleTests {
  private func number(_ value: JSONValue?) throws -> UInt64 {
    guard case .number(let number) = value else { throw CryptoError(.malformed, "a test vector") }
    return try #require(UInt64(number.text))
  }

  private func digest(_ value: JSONValue?) throws -> Digest? {
    let text = try #require(value?.string)
    return Base64.decode(text).flatMap { Digest($0) }
  }

  private func proof(_ value: JSONValue?) throws -> [Digest]? {
    var proof: [Digest] = []
    for item in value?.items ?? [] {
      guard let digest = try digest(item) else { return nil }
      proof.append(digest)
    }
    return proof
  }

  @Test func `the public inclusion vectors come out as they say`() throws {
    let file = try Vectors.json("merkle/inclusion.json")
    let vectors = try #require(file["vectors"]?.items)
    #expect(vectors.count == 98)
    for vector in vectors {
      var holds = false
      if let leaf = try digest(vector["leafHash"]), let root = try digest(vector["root"]),
        let proof = try proof(vector["proof"])
      {
        holds = MerkleProof.isIncluded(
          leafHash: leaf, index: try number(vector["leafIdx"]),
          size: try number(vector["treeSize"]), root: root, proof: proof)
      }
      #expect(holds != vector["wantErr"]?.bool, "\(vector["name"]?.string ?? "")")
    }
  }

  @Test func `the public consistency vectors come out as they say`() throws {
    let file = try Vectors.json("merkle/consistency.json")
    let vectors = try #require(file["vectors"]?.items)
    #expect(vectors.count == 98)
    for vector in vectors {
      // One vector has texts for roots, which a digest cannot hold: our type refuses them.
      if vector["root1"] == .string("ZG9uJ3QgY2FyZSAy"), vector["wantErr"] == .bool(false) {
        continue
      }
      var holds = false
      if let old = try digest(vector["root1"]), let new = try digest(vector["root2"]),
        let proof = try proof(vector["proof"])
      {
        holds = MerkleProof.isConsistent(
          earlier: try number(vector["size1"]), earlierRoot: old,
          size: try number(vector["size2"]), root: new, proof: proof)
      }
      #expect(holds != vector["wantErr"]?.bool, "\(vector["name"]?.string ?? "")")
    }
  }

  /// The definition, RFC 9162 §2.1.1, as slowly as it is written there.
  private func slowRoot(_ leaves: ArraySlice<Digest>) -> Digest {
    guard let first = leaves.first else { return MerkleHash.emptyRoot }
    guard leaves.count > 1 else { return first }
    var split = 1
    while split * 2 < leaves.count { split *= 2 }
    let middle = leaves.startIndex + split
    return MerkleHash.node(slowRoot(leaves[..<middle]), slowRoot(leaves[middle...]))
  }

  @Test func `roots and proofs of all sizes hold, and for nothing else`() throws {
    let leaves = (0..<40).map { MerkleHash.leaf([UInt8($0)]) }
    let tree = MerkleTree(leafHashes: leaves)
    let roots = try (0...leaves.count).map { try #require(tree.root(atSize: $0)) }
    for size in 0...leaves.count {
      #expect(roots[size] == slowRoot(leaves[..<size]))
      #expect(MerkleTree(leafHashes: leaves[..<size]).root == roots[size])
      for index in 0..<size {
        let proof = try #require(tree.inclusionProof(index: index, size: size))
        func holds(_ leaf: Digest, _ index: Int, _ size: Int, _ proof: [Digest]) -> Bool {
          MerkleProof.isIncluded(
            leafHash: leaf, index: UInt64(index), size: UInt64(size), root: roots[size],
            proof: proof)
        }
        #expect(holds(leaves[index], index, size, proof))
        #expect(!holds(leaves[(index + 1) % leaves.count], index, size, proof))
        #expect(!holds(leaves[index], index, size, proof + [leaves[0]]))
        if !proof.isEmpty { #expect(!holds(leaves[index], index, size, proof.dropLast())) }
        if size > 1 { #expect(!holds(leaves[index], (index + 1) % size, size, proof)) }
      }
      for earlier in 1..<max(size, 1) {
        let proof = try #require(tree.consistencyProof(from: earlier, to: size))
        func holds(_ old: Digest, _ new: Digest, _ proof: [Digest]) -> Bool {
          MerkleProof.isConsistent(
            earlier: UInt64(earlier), earlierRoot: old, size: UInt64(size), root: new,
            proof: proof)
        }
        #expect(holds(roots[earlier], roots[size], proof))
        #expect(!holds(roots[earlier - 1], roots[size], proof))
        #expect(!holds(roots[earlier], roots[size - 1], proof))
        #expect(!holds(roots[earlier], roots[size], proof + [leaves[0]]))
        #expect(!holds(roots[earlier], roots[size], proof.dropLast()))
      }
    }
    #expect(tree.inclusionProof(index: 40, size: 40) == nil)
    #expect(tree.inclusionProof(index: 0, size: 41) == nil)
    #expect(tree.inclusionProof(index: -1, size: 4) == nil)
    #expect(tree.consistencyProof(from: 0, to: 4) == nil)
    #expect(tree.consistencyProof(from: 5, to: 4) == nil)
    #expect(tree.consistencyProof(from: 4, to: 4) == [])
    #expect(tree.root(atSize: 41) == nil)
    #expect(MerkleTree().root == SHA256.digest([UInt8]()))
  }
}
