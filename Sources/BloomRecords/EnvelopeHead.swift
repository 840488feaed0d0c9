package import BloomBase
package import BloomCrypto
internal import BloomWire

/// The wrap of an envelope's key to one machine.
package struct Candidate: Sendable, Hashable {
  /// The machine.
  package let node: NodeID
  /// The machine's key.
  package let key: KeyID
  /// HPKE's encapsulated key.
  package let encapsulatedKey: [UInt8]
  /// The sealed envelope key, 48 bytes.
  package let wrappedKey: [UInt8]

  /// Bytes of a wrapped key: 32 and a tag.
  package static let wrappedKeyByteCount = 48

  /// Joins the parts of a wrap.
  package init(node: NodeID, key: KeyID, encapsulatedKey: [UInt8], wrappedKey: [UInt8]) {
    self.node = node
    self.key = key
    self.encapsulatedKey = encapsulatedKey
    self.wrappedKey = wrappedKey
  }

  /// Bytes of a wrap whose encapsulated key has so many.
  package static func byteCount(encapsulatedKey count: Int) -> Int {
    32 + KeyID.byteCount + 2 + count + 2 + wrappedKeyByteCount
  }

  /// Appends `node | kid | enc_len(2) | enc | ct_len(2) | ct`.
  package func append(to bytes: inout [UInt8]) {
    bytes.append(contentsOf: node.digest.bytes)
    bytes.append(contentsOf: key.bytes)
    bytes.append(bigEndian: encapsulatedKey.count)
    bytes.append(contentsOf: encapsulatedKey)
    bytes.append(bigEndian: wrappedKey.count)
    bytes.append(contentsOf: wrappedKey)
  }
}

/// The first part of an envelope, which says what it is and whom it is for.
///
/// `01 | flags | suite(6) | request nonce(32) | routing_len(2) | routing`
package struct EnvelopeHead: Sendable, Hashable {
  /// The format's version.
  package static let version: UInt8 = 1
  /// Bytes before the routing.
  package static let fixedByteCount = 42
  /// The most bytes of routing.
  package static let maximumRoutingByteCount = 1_024

  /// KEM, KDF and AEAD of every wrap.
  package let suite: HPKESuite
  /// 32 random bytes; names the request in receipts.
  package let requestNonce: Digest
  /// What may be known in clear.
  package let routing: Routing

  /// Joins the parts of a head.
  package init(suite: HPKESuite, requestNonce: Digest, routing: Routing) {
    self.suite = suite
    self.requestNonce = requestNonce
    self.routing = routing
  }

  /// The head's bytes.
  package var encoded: [UInt8] {
    let routing = routing.encoded
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.fixedByteCount + routing.count)
    bytes.append(contentsOf: [Self.version, 0])
    bytes.append(contentsOf: suite.bytes)
    bytes.append(contentsOf: requestNonce.bytes)
    bytes.append(bigEndian: routing.count)
    bytes.append(contentsOf: routing)
    return bytes
  }
}

/// Head and candidates of an envelope: all that a coordinator reads.
package struct EnvelopePrefix: Sendable, Hashable {
  /// The most candidates.
  package static let maximumCandidates = 4
  /// More bytes than any prefix has; a reader that has so many and no prefix can refuse.
  package static let maximumByteCount = 2_048

  /// The head.
  package let head: EnvelopeHead
  /// The head's bytes as they came.
  package let headBytes: [UInt8]
  /// 1…4 wraps, to different machines.
  package let candidates: [Candidate]
  /// Bytes of head and candidates: here the body begins.
  package let byteCount: Int

  /// Reads the prefix of an envelope.
  ///
  /// - Returns: `nil` when more bytes are needed.
  /// - Throws: `invalid` or `wire` when no bytes that follow could make it right.
  package static func read(_ bytes: [UInt8]) throws(RecordError) -> EnvelopePrefix? {
    var cursor = Cursor(bytes)
    guard let fixed = cursor.take(EnvelopeHead.fixedByteCount) else { return nil }
    guard fixed[0] == EnvelopeHead.version else {
      throw .wire(.unknownVersion(UInt64(fixed[0])))
    }
    guard fixed[1] == 0 else { throw .invalid("the flags of an envelope") }
    guard let suite = HPKESuite(fixed[2..<8]), suite.aead == .aes256GCM,
      let nonce = Digest(fixed[8..<40])
    else { throw .invalid("the suite of an envelope") }
    let routingCount = Int(fixed[40]) << 8 | Int(fixed[41])
    guard routingCount <= EnvelopeHead.maximumRoutingByteCount else {
      throw .invalid("the routing's size")
    }
    guard let routingBytes = cursor.take(routingCount) else { return nil }
    let head = EnvelopeHead(
      suite: suite, requestNonce: nonce, routing: try Routing(decoding: Array(routingBytes)))
    let headByteCount = cursor.offset
    guard let count = cursor.take(1)?.first else { return nil }
    guard (1...maximumCandidates).contains(Int(count)) else {
      throw .invalid("the number of candidates")
    }
    var candidates: [Candidate] = []
    for _ in 0..<count {
      guard let candidate = try cursor.candidate(suite) else { return nil }
      guard !candidates.contains(where: { $0.node == candidate.node }) else {
        throw .invalid("a candidate that is named twice")
      }
      candidates.append(candidate)
    }
    return EnvelopePrefix(
      head: head, headBytes: Array(bytes[..<headByteCount]), candidates: candidates,
      byteCount: cursor.offset)
  }

  /// The prefix that goes to one candidate: the head as it came, and this wrap alone.
  package func forwarded(to candidate: Candidate) -> [UInt8] {
    var bytes = headBytes
    bytes.append(1)
    candidate.append(to: &bytes)
    return bytes
  }

  /// Bytes of the body, which follow from the padded size.
  package var bodyByteCount: Int { ChunkFraming.bodyByteCount(head.routing.paddedByteCount) }
}

/// A position in bytes that may not all be there yet.
private struct Cursor {
  let bytes: [UInt8]
  var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func take(_ count: Int) -> [UInt8]? {
    guard bytes.count - offset >= count else { return nil }
    defer { offset += count }
    return Array(bytes[offset..<offset + count])
  }

  /// Reads one wrap; `nil` when more bytes are needed.
  mutating func candidate(_ suite: HPKESuite) throws(RecordError) -> Candidate? {
    guard let names = take(42), let node = NodeID(names[..<32]), let key = KeyID(names[32..<40])
    else { return nil }
    guard Int(names[40]) << 8 | Int(names[41]) == suite.kem.publicKeyByteCount else {
      throw .invalid("the size of an encapsulated key")
    }
    guard let encapsulated = take(suite.kem.publicKeyByteCount), let count = take(2) else {
      return nil
    }
    guard Int(count[0]) << 8 | Int(count[1]) == Candidate.wrappedKeyByteCount else {
      throw .invalid("the size of a wrapped key")
    }
    guard let wrapped = take(Candidate.wrappedKeyByteCount) else { return nil }
    return Candidate(node: node, key: key, encapsulatedKey: encapsulated, wrappedKey: wrapped)
  }
}

extension [UInt8] {
  /// Appends 16 bits.
  mutating func append(bigEndian value: Int) {
    append(UInt8(truncatingIfNeeded: value >> 8))
    append(UInt8(truncatingIfNeeded: value))
  }
}
