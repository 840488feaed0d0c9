/// An event that was read off a stream.
public struct SSEEvent: Sendable, Equatable {
  /// `message` unless the stream said otherwise.
  public let type: String
  /// The data lines, joined by LF; not checked to be UTF-8.
  public let data: [UInt8]
  /// The last id the stream gave, on this event or before; empty when none.
  public let lastEventID: String

  /// Wraps the parts.
  public init(type: String = "message", data: [UInt8], lastEventID: String = "") {
    self.type = type
    self.data = data
    self.lastEventID = lastEventID
  }

  /// The data as text; bytes that are not UTF-8 are repaired.
  public var text: String { String(decoding: data, as: UTF8.self) }
}

/// Reads server-sent events, WHATWG HTML §9.2.6: bytes in, events out.
///
/// An event that the end of the stream cuts off is dropped, as the standard says.
public struct SSEParser: ~Copyable, Sendable {
  /// What the server asked for last, in milliseconds.
  public private(set) var retryMilliseconds: Int?

  private var line: [UInt8] = []
  private var data: [UInt8] = []
  private var hasData = false
  private var type = ""
  private var lastEventID = ""
  private var isAtStart = true
  private var skipsNewline = false
  private let limits: SSELimits

  /// A parser at the start of a stream.
  public init(limits: SSELimits = SSELimits()) { self.limits = limits }

  /// The next event; `nil` when every byte was taken and more are needed.
  ///
  /// - Parameters:
  ///   - input: The bytes that came.
  ///   - offset: Where to read on; moves behind what was taken.
  /// - Returns: The event, or `nil`.
  /// - Throws: ``HTTPError`` with `eventTooLarge`.
  public mutating func next(
    _ input: Span<UInt8>, at offset: inout Int
  ) throws(HTTPError) -> SSEEvent? {
    while offset < input.count {
      if skipsNewline {
        skipsNewline = false
        if input[offset] == 0x0a {
          offset += 1
          continue
        }
      }
      var end = offset
      while end < input.count, input[end] != 0x0a, input[end] != 0x0d { end += 1 }
      guard line.count + end - offset <= limits.maxLineBytes else {
        throw HTTPError(.eventTooLarge)
      }
      line.append(input, offset..<end)
      offset = end
      guard end < input.count else { return nil }
      skipsNewline = input[end] == 0x0d
      offset += 1
      if let event = try takeLine() { return event }
    }
    return nil
  }

  private mutating func takeLine() throws(HTTPError) -> SSEEvent? {
    // Out of `self` while it is read, so that its span and the other members do not overlap.
    var line: [UInt8] = []
    swap(&line, &self.line)
    defer {
      line.removeAll(keepingCapacity: line.capacity <= 65_536)
      swap(&line, &self.line)
    }
    var start = 0
    if isAtStart {
      isAtStart = false
      if line.starts(with: [0xef, 0xbb, 0xbf]) { start = 3 }
    }
    guard start < line.count else { return dispatch() }
    let colon = line[start...].firstIndex(of: 0x3a) ?? line.count
    let name = start..<colon
    var valueStart = min(colon + 1, line.count)
    if valueStart < line.count, line[valueStart] == 0x20 { valueStart += 1 }
    let value = valueStart..<line.count
    let span = line.span
    if matchesExactly(span, name, "data") {
      guard data.count + value.count + 1 <= limits.maxEventBytes else {
        throw HTTPError(.eventTooLarge)
      }
      if hasData { data.append(0x0a) }
      hasData = true
      data.append(contentsOf: line[value])
    } else if matchesExactly(span, name, "event") {
      type = String(decoding: line[value], as: UTF8.self)
    } else if matchesExactly(span, name, "id") {
      if !line[value].contains(0) { lastEventID = String(decoding: line[value], as: UTF8.self) }
    } else if matchesExactly(span, name, "retry") {
      // Beyond nine digits it is a mistake, and would overflow sooner or later.
      if (1...9).contains(value.count), line[value].allSatisfy({ (0x30...0x39).contains($0) }) {
        retryMilliseconds = line[value].reduce(0) { $0 * 10 + Int($1 - 0x30) }
      }
    }
    return nil
  }

  private mutating func dispatch() -> SSEEvent? {
    defer {
      type = ""
      data = []
      hasData = false
    }
    guard hasData else { return nil }
    return SSEEvent(type: type.isEmpty ? "message" : type, data: data, lastEventID: lastEventID)
  }

  private func matchesExactly(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: String) -> Bool {
    guard range.count == text.utf8.count else { return false }
    return zip(range, text.utf8).allSatisfy { bytes[$0] == $1 }
  }
}
