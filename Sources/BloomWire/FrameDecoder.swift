/// How frames lie in the plaintext of chunks: `varint(length) | frame`, then zeros.
///
/// A frame may go on in the next chunk, so that chunks can have any fixed size. A length of zero
/// means that the rest of this chunk is padding; all of it must be zero.
package struct FrameDecoder: Sendable {
  private var buffer: [UInt8] = []
  private var start = 0

  /// Starts before the first frame.
  package init() {}

  /// Adds one chunk's plaintext and returns the encoded frames that it completes.
  ///
  /// - Returns: Each frame's bytes without its length, in order.
  /// - Throws: `tooLarge` for a frame over the limit, `notCanonical` for a long length or for
  ///   padding that is not zero.
  package mutating func append(_ plaintext: ArraySlice<UInt8>) throws(WireError) -> [[UInt8]] {
    add(plaintext)
    var frames: [[UInt8]] = []
    while let range = try next() { frames.append(Array(buffer[range])) }
    return frames
  }

  /// Adds one chunk's plaintext; call ``next()`` until it gives `nil` before the next chunk.
  package mutating func add(_ plaintext: ArraySlice<UInt8>) {
    if start == buffer.count {
      buffer.removeAll(keepingCapacity: true)
      start = 0
    } else if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    buffer.append(contentsOf: plaintext)
  }

  /// Where in ``bytes`` the next complete frame lies; `nil` when more plaintext is needed.
  ///
  /// - Throws: As ``append(_:)``.
  package mutating func next() throws(WireError) -> Range<Int>? {
    guard let length = try Varint.read(buffer, at: start, maximum: Limits.frame) else {
      return nil
    }
    guard length.value > 0 else {
      guard isZero(from: start) else { throw .notCanonical }
      start = buffer.count
      return nil
    }
    let content = start + length.byteCount
    guard buffer.count - content >= length.value else { return nil }
    start = content + length.value
    return content..<start
  }

  /// The plaintext that ``next()`` gives places in.
  package var bytes: [UInt8] { buffer }

  /// Whether only zeros follow; without an early end, so that it compiles to wide instructions.
  private func isZero(from start: Int) -> Bool {
    var bits: UInt8 = 0
    for index in start..<buffer.count { bits |= buffer[index] }
    return bits == 0
  }

  /// Whether no frame is half read; an answer must end so.
  package var isAtBoundary: Bool { start == buffer.count }

  /// Appends a frame with its length to a plaintext.
  package static func append(frame: [UInt8], to plaintext: inout [UInt8]) {
    Varint.append(frame.count, to: &plaintext)
    plaintext.append(contentsOf: frame)
  }
}
