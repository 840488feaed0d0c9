package import BloomBase
internal import BloomCrypto
package import BloomWire

/// How sealed chunks follow each other, in requests and answers alike.
///
/// `{ varint(length) | chunk }* | varint(0) | varint(length) | final chunk`. Chunked Oblivious HTTP
/// lets its final chunk run to the end of the stream; ours has a length, so that a reader knows at
/// once that an answer is complete, without waiting for the transport to close.
package enum ChunkFraming: Sendable {
  /// The most plaintext bytes of one chunk.
  package static let maximumPlaintext = 16_384
  /// Bytes that sealing adds.
  package static let tagByteCount = 16
  /// The most bytes of one sealed chunk.
  package static let maximumSealed = maximumPlaintext + tagByteCount

  /// Appends what stands before a chunk's sealed bytes.
  package static func appendPrefix(sealedByteCount: Int, isFinal: Bool, to bytes: inout [UInt8]) {
    if isFinal { bytes.append(0) }
    Varint.append(sealedByteCount, to: &bytes)
  }

  private static let zeros = [UInt8](repeating: 0, count: maximumPlaintext)

  /// Appends padding: at most one chunk of it.
  package static func appendZeros(_ count: Int, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: zeros[..<count])
  }

  /// Bytes of the body of a request with a padded plaintext: full chunks, then the rest.
  package static func bodyByteCount(_ paddedByteCount: Int) -> Int {
    let full = (paddedByteCount - 1) / maximumPlaintext
    let last = paddedByteCount - full * maximumPlaintext + tagByteCount
    return full * (Varint.byteCount(maximumSealed) + maximumSealed) + 1 + Varint.byteCount(last)
      + last
  }
}

/// Cuts a stream into sealed chunks without opening them; memory is bounded by one chunk.
package struct ChunkReader: Sendable {
  /// Where one sealed chunk lies.
  package struct Chunk: Sendable, Equatable {
    /// Its ciphertext and tag, in ``ChunkReader/bytes`` until more is added.
    package let range: Range<Int>
    /// Whether it is the last.
    package let isFinal: Bool
  }

  private var buffer: [UInt8] = []
  private var start = 0
  /// Whether the final chunk was read; nothing may follow it.
  package private(set) var isComplete = false

  /// Whether no bytes are left unread.
  package var isBoundary: Bool { start == buffer.count }

  /// Starts before the first chunk.
  package init() {}

  /// What ``next()`` gives places in.
  package var bytes: [UInt8] { buffer }

  /// Adds bytes.
  package mutating func append(_ bytes: ArraySlice<UInt8>) {
    if start == buffer.count {
      buffer.removeAll(keepingCapacity: true)
      start = 0
    } else if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next chunk; `nil` when more bytes are needed.
  ///
  /// - Throws: `tooLarge` or `outOfRange` for impossible lengths, `trailingBytes` after the final
  ///   chunk, `notCanonical` for a long varint.
  package mutating func next() throws(WireError) -> Chunk? {
    if isComplete {
      guard start == buffer.count else { throw .trailingBytes }
      return nil
    }
    guard let first = try Varint.read(buffer, at: start, maximum: ChunkFraming.maximumSealed)
    else { return nil }
    var content = start + first.byteCount
    var count = first.value
    let isFinal = count == 0
    if isFinal {
      let second = try Varint.read(
        buffer, at: content, maximum: ChunkFraming.maximumSealed)
      guard let second else { return nil }
      content += second.byteCount
      count = second.value
    }
    guard count > ChunkFraming.tagByteCount else { throw .outOfRange(field: "chunk length") }
    guard buffer.count - content >= count else { return nil }
    start = content + count
    isComplete = isFinal
    return Chunk(range: content..<start, isFinal: isFinal)
  }
}

/// The running hash over an answer's sealed chunks, the final one excluded.
///
/// h0 = SHA-256(label ‖ response nonce), h_i = SHA-256(h_{i−1} ‖ sealed chunk_i). Whoever forwards
/// an answer can compute it, so a receipt can be checked without opening anything.
package struct Transcript: Sendable, Equatable {
  /// h_i.
  package private(set) var digest: Digest
  /// i.
  package private(set) var chunks = 0

  /// h0 for a response nonce.
  package init(responseNonce: Digest) {
    digest = SHA256.digest(Labels.transcript + responseNonce.bytes)
  }

  /// Adds a chunk that is not final.
  package mutating func append(_ sealed: Span<UInt8>) {
    var hash = SHA256()
    hash.update(digest)
    hash.update(sealed)
    digest = hash.finish()
    chunks += 1
  }

  /// Adds the end of a buffer as a chunk that is not final.
  package mutating func append(endOf buffer: [UInt8], from start: Int) {
    append(buffer.span.extracting(start..<buffer.count))
  }
}

/// What stands before an answer's chunks: `node(32) | kid(8) | response nonce(32)`.
package struct AnswerPreamble: Sendable, Equatable {
  /// Its size.
  package static let byteCount = 72

  /// The machine that answers.
  package let node: NodeID
  /// The key that the request was opened with.
  package let key: KeyID
  /// 32 random bytes.
  package let responseNonce: Digest

  /// Joins the parts.
  package init(node: NodeID, key: KeyID, responseNonce: Digest) {
    self.node = node
    self.key = key
    self.responseNonce = responseNonce
  }

  /// Reads 72 bytes; `nil` for any other count.
  package init?(_ bytes: some Collection<UInt8>) {
    let bytes = Array(bytes)
    guard bytes.count == Self.byteCount, let node = NodeID(bytes[..<32]),
      let key = KeyID(bytes[32..<40]), let nonce = Digest(bytes[40...])
    else { return nil }
    self.init(node: node, key: key, responseNonce: nonce)
  }

  /// The 72 bytes.
  package var encoded: [UInt8] { node.digest.bytes + key.bytes + responseNonce.bytes }
}
