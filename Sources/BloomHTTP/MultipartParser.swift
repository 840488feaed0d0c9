/// Reads a `multipart/form-data` body, RFC 7578 over RFC 2046 §5.1: bytes in, events out.
///
/// Holds at most one part's head or one boundary of the body at a time.
public struct MultipartParser: ~Copyable, Sendable {
  /// What was found.
  public enum Event: Sendable, Equatable {
    /// A part begins.
    case part(MultipartHead)
    /// Bytes of the part's content; never empty.
    case data([UInt8])
    /// The part is complete.
    case partEnd
    /// The body is complete; what follows is ignored.
    case end
  }

  private enum State: Sendable {
    case preamble(bytes: Int)
    case afterBoundary
    case head
    case content(bytes: Int)
    case done
    case failed(HTTPError)
  }

  private var state = State.preamble(bytes: 0)
  // The body may start with a boundary; with a line end before it, every boundary looks the same.
  private var buffer: [UInt8] = [0x0d, 0x0a]
  private var position = 0
  private var scanner: HeadScanner
  private var parts = 0
  private let delimiter: [UInt8]
  private let limits: MultipartLimits

  /// A parser at the start of a body.
  ///
  /// - Throws: ``HTTPError`` with `malformedMultipart` when the content type is not
  ///   `multipart/form-data` with a valid boundary.
  public init(
    contentType: String, limits: MultipartLimits = MultipartLimits()
  ) throws(HTTPError) {
    guard let value = ParameterizedValue(contentType), value.value == "multipart/form-data",
      let boundary = value["boundary"], Self.isBoundary(boundary)
    else { throw HTTPError(.malformedMultipart) }
    delimiter = Array("\r\n--\(boundary)".utf8)
    self.limits = limits
    scanner = HeadScanner(maxBytes: limits.maxPartHeadBytes)
  }

  /// Takes bytes and returns what they complete, in order.
  ///
  /// - Throws: ``HTTPError`` with `malformedMultipart` or `multipartTooLarge`; the same one at
  ///   every later call.
  public mutating func feed(_ input: Span<UInt8>) throws(HTTPError) -> [Event] {
    var events: [Event] = []
    do throws(HTTPError) {
      if case .failed(let error) = state { throw error }
      buffer.append(input, 0..<input.count)
      while try step(&events) {}
      buffer.removeFirst(position)
      position = 0
      return events
    } catch {
      state = .failed(error)
      throw error
    }
  }

  /// Says that the body is over.
  ///
  /// - Throws: ``HTTPError`` with `truncated` when the last boundary has not come.
  public mutating func finish() throws(HTTPError) {
    switch state {
    case .done: return
    case .failed(let error): throw error
    case .preamble, .afterBoundary, .head, .content:
      state = .failed(HTTPError(.truncated))
      throw HTTPError(.truncated)
    }
  }

  /// Does one thing; `false` when more bytes are needed.
  private mutating func step(_ events: inout [Event]) throws(HTTPError) -> Bool {
    switch state {
    case .preamble(let bytes):
      let (plain, isFound) = search()
      guard bytes + plain <= limits.maxPreambleBytes + 2 else {
        throw HTTPError(.multipartTooLarge)
      }
      position += plain + (isFound ? delimiter.count : 0)
      state = isFound ? .afterBoundary : .preamble(bytes: bytes + plain)
      return isFound
    case .afterBoundary:
      guard buffer.count - position >= 2 else { return false }
      let (first, second) = (buffer[position], buffer[position + 1])
      position += 2
      if first == 0x2d, second == 0x2d {
        state = .done
        events.append(.end)
      } else if first == 0x0d, second == 0x0a {
        parts += 1
        guard parts <= limits.maxParts else { throw HTTPError(.multipartTooLarge) }
        state = .head
      } else {
        throw HTTPError(.malformedMultipart)
      }
      return true
    case .head:
      guard let head = try nextHead() else { return false }
      events.append(.part(head))
      state = .content(bytes: 0)
      return true
    case .content(let bytes):
      let (plain, isFound) = search()
      guard bytes + plain <= limits.maxPartBytes else { throw HTTPError(.multipartTooLarge) }
      if plain > 0 { events.append(.data(Array(buffer[position..<position + plain]))) }
      position += plain
      state = .content(bytes: bytes + plain)
      guard isFound else { return false }
      position += delimiter.count
      events.append(.partEnd)
      state = .afterBoundary
      return true
    case .done, .failed:
      position = buffer.count
      return false
    }
  }

  /// How many bytes cannot be part of a delimiter, and whether a whole one follows them.
  private func search() -> (plain: Int, isFound: Bool) {
    let bytes = buffer.span
    let wanted = delimiter.span
    var index = position
    while index < bytes.count {
      if bytes[index] != 0x0d {
        index += 1
        continue
      }
      var length = 1
      while length < wanted.count, index + length < bytes.count,
        bytes[index + length] == wanted[length]
      {
        length += 1
      }
      if length == wanted.count { return (index - position, true) }
      if index + length == bytes.count { break }
      index += 1
    }
    return (index - position, false)
  }

  private mutating func nextHead() throws(HTTPError) -> MultipartHead? {
    do throws(HTTPError) {
      let (held, start) = (buffer, position)
      var offset = start
      let found = try scanner.next(held.span, at: &offset)
      position = offset
      guard let bytes = found else { return nil }
      let block = try FieldBlock(bytes.span, from: 0, maxFields: limits.maxPartFields)
      return try MultipartHead(HTTPFields(bytes: bytes, entries: block.entries))
    } catch {
      throw HTTPError(error.code == .headTooLarge ? .multipartTooLarge : .malformedMultipart)
    }
  }

  /// RFC 2046 §5.1.1: 1 to 70 characters, the last not a space.
  private static func isBoundary(_ text: String) -> Bool {
    let allowed = ASCIISet("'()+_,-./:=? ", letters: true, digits: true)
    return (1...70).contains(text.utf8.count) && text.utf8.last != 0x20
      && text.utf8.allSatisfy(allowed.contains)
  }
}
