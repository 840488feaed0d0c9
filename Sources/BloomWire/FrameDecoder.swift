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
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    buffer.append(contentsOf: plaintext)
    var frames: [[UInt8]] = []
    while let length = try Varint.read(buffer, at: start, maximum: Limits.frame) {
      if length.value == 0 {
        guard isZero(from: start) else { throw .notCanonical }
        start = buffer.count
        break
      }
      let content = start + length.byteCount
      guard buffer.count - content >= length.value else { break }
      start = content + length.value
      frames.append(Array(buffer[content..<start]))
    }
    return frames
  }

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
