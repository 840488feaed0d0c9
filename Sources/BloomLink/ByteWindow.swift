internal import BloomWire

/// Bytes that wait for the other side's credit, cut into chunks.
struct ByteWindow: Equatable, Sendable {
  private var bytes: [UInt8] = []
  private var start = 0
  private var credit: Int

  init(credit: Int) { self.credit = credit }

  /// Bytes that wait.
  var waiting: Int { bytes.count - start }

  mutating func append(_ more: [UInt8]) {
    // A whole body is shared with its holder instead of copied.
    if bytes.isEmpty { bytes = more } else { bytes.append(contentsOf: more) }
  }

  /// Lets go of what waits; nobody will read it.
  mutating func drop() {
    bytes = []
    start = 0
  }

  /// More may leave; `false` when the sum makes no sense.
  mutating func grant(_ byteCount: Int) -> Bool {
    credit += byteCount
    return credit <= 2 * Limits.envelope
  }

  /// The next chunk that may leave now.
  mutating func next() -> [UInt8]? {
    let count = min(waiting, credit, Limits.chunk)
    guard count > 0 else { return nil }
    let chunk = Array(bytes[start..<start + count])
    start += count
    credit -= count
    if start == bytes.count {
      bytes.removeAll(keepingCapacity: false)
      start = 0
    } else if start > 1 << 20 {
      bytes.removeFirst(start)
      start = 0
    }
    return chunk
  }
}
