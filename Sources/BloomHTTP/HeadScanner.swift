/// Finds the end of a head in bytes that come in pieces, and keeps what came before it.
///
/// A bare LF is refused as soon as it is seen: parsers that take it for a line end are what
/// request smuggling needs. The outcome is the same however the input is cut.
struct HeadScanner: Sendable {
  private var held: [UInt8] = []
  private var lineCount = 0
  private var total = 0
  private var lastIsReturn = false
  private let maxBytes: Int

  init(maxBytes: Int) { self.maxBytes = maxBytes }

  /// Whether part of a head is held.
  var isInsideHead: Bool { total > 0 }

  /// The bytes of a whole head, its empty line included; `nil` when more are needed.
  ///
  /// `offset` moves behind what was taken.
  mutating func next(_ input: Span<UInt8>, at offset: inout Int) throws(HTTPError) -> [UInt8]? {
    let start = offset
    let end = min(input.count, start + (maxBytes - total))
    // Locals, because stores to members inside the loop would cost as much as the loop itself.
    var lineCount = self.lineCount
    var lastIsReturn = self.lastIsReturn
    var index = start
    while index < end {
      // Nearly every byte of a head is above CR: one comparison each.
      let plain = index
      while index < end, input[index] > 0x0d { index += 1 }
      if index > plain {
        guard !lastIsReturn else { throw HTTPError(.malformedLine) }
        lineCount += index - plain
        if index == end { break }
      }
      let byte = input[index]
      index += 1
      if byte == 0x0a {
        guard lastIsReturn else { throw HTTPError(.malformedLine) }
        if lineCount == 1 {
          let head = take(input, start..<index)
          offset = index
          return head
        }
        lineCount = 0
        lastIsReturn = false
      } else {
        guard !lastIsReturn else { throw HTTPError(.malformedLine) }
        lastIsReturn = byte == 0x0d
        lineCount += 1
      }
    }
    if end < input.count { throw HTTPError(.headTooLarge) }
    self.lineCount = lineCount
    self.lastIsReturn = lastIsReturn
    held.append(input, start..<end)
    total += end - start
    offset = end
    return nil
  }

  private mutating func take(_ input: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
    let head: [UInt8]
    if held.isEmpty {
      head = [UInt8](input, range)
    } else {
      held.append(input, range)
      head = held
      held = []
    }
    total = 0
    lineCount = 0
    lastIsReturn = false
    return head
  }
}
