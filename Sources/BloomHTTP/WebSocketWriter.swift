/// Writes WebSocket frames, RFC 6455 §5.
///
/// A client passes a fresh, unpredictable 32-bit mask for every frame; a server passes `nil`.
public enum WebSocketWriter: Sendable {
  /// The longest payload of a control frame, RFC 6455 §5.5.
  public static let maxControlBytes = 125

  /// Appends a message as one frame.
  public static func append(_ message: WebSocketMessage, mask: UInt32?, to output: inout [UInt8]) {
    switch message {
    case .text(let text):
      appendFragment(Array(text.utf8).span, isText: true, mask: mask, to: &output)
    case .binary(let bytes):
      appendFragment(bytes.span, isText: false, mask: mask, to: &output)
    }
  }

  /// Appends one fragment of a message.
  ///
  /// - Parameters:
  ///   - payload: Its bytes; a text may be cut anywhere.
  ///   - isText: The type of the message.
  ///   - isFirst: Whether it starts the message.
  ///   - isLast: Whether it ends the message.
  ///   - mask: See ``WebSocketWriter``.
  ///   - output: Where to.
  public static func appendFragment(
    _ payload: Span<UInt8>, isText: Bool, isFirst: Bool = true, isLast: Bool = true,
    mask: UInt32?, to output: inout [UInt8]
  ) {
    let opcode: UInt8 = !isFirst ? 0 : isText ? 1 : 2
    append(opcode, isLast: isLast, payload, mask, to: &output)
  }

  /// Appends a ping; bytes beyond ``maxControlBytes`` are cut.
  public static func appendPing(_ payload: [UInt8] = [], mask: UInt32?, to output: inout [UInt8]) {
    append(9, isLast: true, Array(payload.prefix(maxControlBytes)).span, mask, to: &output)
  }

  /// Appends a pong; bytes beyond ``maxControlBytes`` are cut.
  public static func appendPong(_ payload: [UInt8] = [], mask: UInt32?, to output: inout [UInt8]) {
    append(10, isLast: true, Array(payload.prefix(maxControlBytes)).span, mask, to: &output)
  }

  /// Appends a close frame; a reason beyond 123 bytes is cut at a character, and needs a code.
  public static func appendClose(
    _ code: WebSocketCloseCode?, reason: String = "", mask: UInt32?, to output: inout [UInt8]
  ) {
    var payload: [UInt8] = []
    if let code {
      payload = [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xff)]
      for scalar in reason.unicodeScalars {
        let bytes = UTF8.encode(scalar).map(Array.init) ?? []
        if payload.count + bytes.count > maxControlBytes { break }
        payload += bytes
      }
    }
    append(8, isLast: true, payload.span, mask, to: &output)
  }

  private static func append(
    _ opcode: UInt8, isLast: Bool, _ payload: Span<UInt8>, _ mask: UInt32?,
    to output: inout [UInt8]
  ) {
    output.append((isLast ? 0x80 : 0) | opcode)
    let maskBit: UInt8 = mask == nil ? 0 : 0x80
    switch payload.count {
    case ..<126: output.append(maskBit | UInt8(payload.count))
    case ..<65_536:
      output.append(maskBit | 126)
      appendBigEndian(UInt64(payload.count), bytes: 2, to: &output)
    default:
      output.append(maskBit | 127)
      appendBigEndian(UInt64(payload.count), bytes: 8, to: &output)
    }
    if let mask { appendBigEndian(UInt64(mask), bytes: 4, to: &output) }
    let start = output.count
    output.append(payload, 0..<payload.count)
    if let mask { output.applyMask(mask, from: start, phase: 0) }
  }

  private static func appendBigEndian(_ value: UInt64, bytes: Int, to output: inout [UInt8]) {
    for place in stride(from: bytes - 1, through: 0, by: -1) {
      output.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * place)))
    }
  }
}
