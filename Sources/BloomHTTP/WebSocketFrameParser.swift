/// Reads WebSocket frames and puts messages together, RFC 6455 §5.
///
/// Extensions are never negotiated, so reserved bits are errors. Text is checked as it comes. The
/// events are the same however the input is cut.
public struct WebSocketFrameParser: ~Copyable, Sendable {
  /// What was found.
  public enum Event: Sendable, Equatable {
    /// A whole message, all fragments joined.
    case message(WebSocketMessage)
    /// Answer with a pong that carries the same bytes.
    case ping([UInt8])
    /// An answer to a ping, or unasked for.
    case pong([UInt8])
    /// The peer closes: answer with a close frame once, then close. No event follows.
    case close(WebSocketCloseCode?, reason: String)
  }

  private struct Frame: Sendable {
    var opcode: UInt8
    var isFinal: Bool
    var mask: UInt32?
    var remaining: Int
    var read = 0
  }

  private enum State: Sendable {
    case header
    case payload(Frame)
    case closed
    case failed(WebSocketError)
  }

  private var state = State.header
  private var header: [UInt8] = []
  private var message: [UInt8] = []
  private var messageOpcode: UInt8?
  private var fragments = 0
  private var text = UTF8Validator()
  private var control: [UInt8] = []
  private let role: WebSocketRole
  private let limits: WebSocketLimits

  /// A parser at the first byte after the handshake.
  ///
  /// - Parameters:
  ///   - role: Which end we are.
  ///   - limits: What the peer may send.
  public init(role: WebSocketRole, limits: WebSocketLimits = WebSocketLimits()) {
    self.role = role
    self.limits = limits
  }

  /// Whether a close frame has come; every later byte is dropped.
  public var isClosed: Bool {
    if case .closed = state { return true }
    return false
  }

  /// The next event; `nil` when every byte was taken and more are needed.
  ///
  /// - Parameters:
  ///   - input: The bytes that came.
  ///   - offset: Where to read on; moves behind what was taken.
  /// - Returns: The event, or `nil`.
  /// - Throws: ``WebSocketError``; the same one at every later call.
  public mutating func next(
    _ input: Span<UInt8>, at offset: inout Int
  ) throws(WebSocketError) -> Event? {
    do throws(WebSocketError) {
      while true {
        switch state {
        case .header:
          guard let frame = try nextHeader(input, at: &offset) else { return nil }
          state = .payload(frame)
        case .payload(let frame):
          if frame.remaining > 0, offset == input.count { return nil }
          let rest = try take(frame, input, at: &offset)
          if rest.remaining > 0 {
            state = .payload(rest)
            return nil
          }
          state = .header
          if let event = try finish(rest) { return event }
        case .closed:
          offset = input.count
          return nil
        case .failed(let error): throw error
        }
      }
    } catch {
      state = .failed(error)
      throw error
    }
  }

  private mutating func nextHeader(
    _ input: Span<UInt8>, at offset: inout Int
  ) throws(WebSocketError) -> Frame? {
    while offset < input.count {
      header.append(input[offset])
      offset += 1
      if header.count == 2 { try checkStart(header[0], header[1]) }
      if header.count >= 2, header.count == headerBytes(header[1]) {
        defer { header.removeAll(keepingCapacity: true) }
        return try parseHeader()
      }
    }
    return nil
  }

  private func headerBytes(_ second: UInt8) -> Int {
    let lengthBytes =
      switch second & 0x7f {
      case 126: 2
      case 127: 8
      default: 0
      }
    return 2 + lengthBytes + (second & 0x80 != 0 ? 4 : 0)
  }

  /// Refuses what the first two bytes already show, before any payload is read.
  private mutating func checkStart(_ first: UInt8, _ second: UInt8) throws(WebSocketError) {
    let opcode = first & 0x0f
    let isMasked = second & 0x80 != 0
    guard first & 0x70 == 0, isMasked == (role == .server) else {
      throw WebSocketError(.malformedFrame)
    }
    switch opcode {
    case 0: guard messageOpcode != nil else { throw WebSocketError(.misplacedFragment) }
    case 1, 2: guard messageOpcode == nil else { throw WebSocketError(.misplacedFragment) }
    case 8, 9, 10:
      guard first & 0x80 != 0, second & 0x7f <= 125 else {
        throw WebSocketError(.malformedControl)
      }
    default: throw WebSocketError(.malformedFrame)
    }
  }

  private mutating func parseHeader() throws(WebSocketError) -> Frame {
    let short = Int(header[1] & 0x7f)
    var length = UInt64(short)
    var index = 2
    if short >= 126 {
      length = 0
      let end = short == 126 ? 4 : 10
      while index < end {
        length = length << 8 | UInt64(header[index])
        index += 1
      }
      // The shortest form is required, and the top bit must be clear, §5.2.
      guard length >= (short == 126 ? 126 : 65_536), length >> 63 == 0 else {
        throw WebSocketError(.malformedFrame)
      }
    }
    var mask: UInt32?
    if header[1] & 0x80 != 0 {
      mask = header[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
    let opcode = header[0] & 0x0f
    if opcode < 8 {
      fragments += 1
      let room = limits.maxMessageBytes - message.count
      guard length <= UInt64(max(0, room)), fragments <= limits.maxFragments else {
        throw WebSocketError(.messageTooBig)
      }
      if opcode != 0 {
        messageOpcode = opcode
        text = UTF8Validator()
      }
    }
    return Frame(
      opcode: opcode, isFinal: header[0] & 0x80 != 0, mask: mask,
      remaining: Int(truncatingIfNeeded: length))
  }

  private mutating func take(
    _ frame: Frame, _ input: Span<UInt8>, at offset: inout Int
  ) throws(WebSocketError) -> Frame {
    var frame = frame
    let count = min(frame.remaining, input.count - offset)
    let range = offset..<offset + count
    if frame.opcode >= 8 {
      control.append(input, range)
      if let mask = frame.mask {
        control.applyMask(mask, from: control.count - count, phase: frame.read)
      }
    } else {
      let start = message.count
      message.append(input, range)
      if let mask = frame.mask { message.applyMask(mask, from: start, phase: frame.read) }
      if messageOpcode == 1 {
        let soFar = message
        guard text.accept(soFar.span, start..<soFar.count) else {
          throw WebSocketError(.invalidText)
        }
      }
    }
    offset += count
    frame.remaining -= count
    frame.read += count
    return frame
  }

  private mutating func finish(_ frame: Frame) throws(WebSocketError) -> Event? {
    guard frame.opcode < 8 else {
      let payload = control
      control = []
      switch frame.opcode {
      case 9: return .ping(payload)
      case 10: return .pong(payload)
      default: return try close(payload)
      }
    }
    guard frame.isFinal else { return nil }
    let payload = message
    let isText = messageOpcode == 1
    message = []
    messageOpcode = nil
    fragments = 0
    guard isText else { return .message(.binary(payload)) }
    guard text.isComplete else { throw WebSocketError(.invalidText) }
    return .message(.text(String(decoding: payload, as: UTF8.self)))
  }

  private mutating func close(_ payload: [UInt8]) throws(WebSocketError) -> Event {
    if payload.isEmpty {
      state = .closed
      return .close(nil, reason: "")
    }
    guard payload.count >= 2,
      let code = WebSocketCloseCode(rawValue: UInt16(payload[0]) << 8 | UInt16(payload[1]))
    else { throw WebSocketError(.malformedClose) }
    guard let reason = String(validating: payload.dropFirst(2), as: UTF8.self) else {
      throw WebSocketError(.invalidText)
    }
    state = .closed
    return .close(code, reason: reason)
  }
}

extension Array where Element == UInt8 {
  /// Exclusive-ors the bytes from `start` with a mask, eight at a time, RFC 6455 §5.3.
  mutating func applyMask(_ mask: UInt32, from start: Int, phase: Int) {
    // The mask as it lies over the first byte, twice, in memory order.
    let turn = UInt32(truncatingIfNeeded: phase & 3) * 8
    let turned = (turn == 0 ? mask : mask << turn | mask >> (32 - turn)).bigEndian
    let wide = UInt64(turned) << 32 | UInt64(turned)
    let end = count
    unsafe withUnsafeMutableBytes { bytes in
      var index = start
      while index + 8 <= end {
        let word = unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        unsafe bytes.storeBytes(of: word ^ wide, toByteOffset: index, as: UInt64.self)
        index += 8
      }
      var place = 0
      while index < end {
        let byte = UInt8(truncatingIfNeeded: turned.bigEndian >> UInt32(24 - 8 * (place & 3)))
        unsafe bytes[index] ^= byte
        index += 1
        place += 1
      }
    }
  }
}
