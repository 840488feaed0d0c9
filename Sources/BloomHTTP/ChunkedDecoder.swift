/// Reads a chunked body, RFC 9112 §7.1.
///
/// Chunk extensions are skipped within a limit; trailer fields are refused.
struct ChunkedDecoder: Sendable {
  enum Event: Equatable {
    /// Bytes of the body, as a range of the span given to this call; never empty.
    case data(Range<Int>)
    /// The last chunk and the empty line after it were read.
    case end
  }

  private enum State: Sendable {
    case size(digits: Int, value: Int)
    case extensions(value: Int)
    case sizeReturn(value: Int)
    case data(remaining: Int)
    case dataReturn
    case dataNewline
    case lastReturn
    case lastNewline
  }

  private var state = State.size(digits: 0, value: 0)
  private var extensionBytes = 0
  private var bodyBytes = 0
  private let maxBody: Int
  private let maxExtensions: Int

  init(limits: HTTPLimits) {
    maxBody = limits.maxBodyBytes ?? Int.max
    maxExtensions = limits.maxChunkExtensionBytes
  }

  /// The next event; `nil` when every byte was taken and more are needed.
  mutating func next(_ input: Span<UInt8>, at offset: inout Int) throws(HTTPError) -> Event? {
    while offset < input.count {
      let byte = input[offset]
      switch state {
      case .size(let digits, let value):
        if let digit = hexValue(byte) {
          // 15 digits fit an Int; more would be zeros in front or an overflow.
          guard digits < 15 else { throw HTTPError(.malformedChunk) }
          state = .size(digits: digits + 1, value: value << 4 | Int(digit))
        } else {
          guard digits > 0 else { throw HTTPError(.malformedChunk) }
          try beginChunk(value)
          switch byte {
          case 0x0d: state = .sizeReturn(value: value)
          case 0x3b, 0x20, 0x09: try skipExtension(byte, value)
          default: throw HTTPError(.malformedChunk)
          }
        }
      case .extensions(let value):
        if byte == 0x0d {
          state = .sizeReturn(value: value)
        } else {
          try skipExtension(byte, value)
        }
      case .sizeReturn(let value):
        guard byte == 0x0a else { throw HTTPError(.malformedChunk) }
        state = value == 0 ? .lastReturn : .data(remaining: value)
      case .data(let remaining):
        let count = min(remaining, input.count - offset)
        state = remaining == count ? .dataReturn : .data(remaining: remaining - count)
        offset += count
        return .data(offset - count..<offset)
      case .dataReturn:
        guard byte == 0x0d else { throw HTTPError(.malformedChunk) }
        state = .dataNewline
      case .dataNewline:
        guard byte == 0x0a else { throw HTTPError(.malformedChunk) }
        state = .size(digits: 0, value: 0)
      case .lastReturn:
        // Anything else is a trailer field. Nothing here needs one, and gateways merge them.
        guard byte == 0x0d else { throw HTTPError(.malformedChunk) }
        state = .lastNewline
      case .lastNewline:
        guard byte == 0x0a else { throw HTTPError(.malformedChunk) }
        offset += 1
        return .end
      }
      offset += 1
    }
    return nil
  }

  private mutating func beginChunk(_ count: Int) throws(HTTPError) {
    let (total, overflow) = bodyBytes.addingReportingOverflow(count)
    guard !overflow, total <= maxBody else { throw HTTPError(.bodyTooLarge) }
    bodyBytes = total
  }

  private mutating func skipExtension(_ byte: UInt8, _ value: Int) throws(HTTPError) {
    extensionBytes += 1
    guard extensionBytes <= maxExtensions, isFieldValueByte(byte) else {
      throw HTTPError(.malformedChunk)
    }
    state = .extensions(value: value)
  }
}
