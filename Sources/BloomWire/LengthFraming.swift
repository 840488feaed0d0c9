/// Cuts a byte stream into messages: four bytes of length, big-endian, then the message.
package struct LengthFraming: Sendable {
  private var buffer: [UInt8] = []
  private var start = 0
  private let limit: Int

  /// Starts before the first message.
  ///
  /// - Parameter limit: Bytes of the longest message.
  package init(limit: Int) { self.limit = limit }

  /// Adds bytes as they were read.
  package mutating func append(_ bytes: ArraySlice<UInt8>) {
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next whole message; `nil` until more bytes come.
  ///
  /// Throws `tooLarge` beyond the limit.
  package mutating func next() throws(WireError) -> [UInt8]? {
    guard buffer.count - start >= 4 else { return nil }
    let length = buffer[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
    guard length <= limit else { throw .tooLarge }
    guard buffer.count - start - 4 >= length else { return nil }
    let message = Array(buffer[start + 4..<start + 4 + length])
    start += 4 + length
    return message
  }

  /// Whether no message is half read.
  package var isAtBoundary: Bool { start == buffer.count }

  /// A message with its length.
  package static func framed(_ message: [UInt8]) -> [UInt8] {
    let length = UInt32(message.count)
    return (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * $0)) } + message
  }
}
