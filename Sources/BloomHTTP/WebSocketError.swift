public import BloomBase

/// Why a WebSocket connection must fail, RFC 6455 §7.1.7.
public struct WebSocketError: PublicError, Equatable, CustomStringConvertible {
  /// What was wrong.
  public enum Code: Sendable, Equatable, CaseIterable {
    /// A reserved bit or opcode, wrong masking, or a length not in its shortest form.
    case malformedFrame
    /// A control frame is fragmented or longer than 125 bytes.
    case malformedControl
    /// A continuation without a start, or a start inside a message.
    case misplacedFragment
    /// The code or the form of a close frame is not allowed.
    case malformedClose
    /// A text message or a close reason is not UTF-8.
    case invalidText
    /// A message passes one of ``WebSocketLimits``.
    case messageTooBig
  }

  /// What was wrong.
  public let code: Code

  /// Wraps a code.
  public init(_ code: Code) { self.code = code }

  /// The code to close with.
  public var closeCode: WebSocketCloseCode {
    switch code {
    case .malformedFrame, .malformedControl, .misplacedFragment, .malformedClose: .protocolError
    case .invalidText: .invalidPayload
    case .messageTooBig: .messageTooBig
    }
  }

  /// One sentence that names no content of the message.
  public var publicDescription: String {
    switch code {
    case .malformedFrame: "a WebSocket frame is malformed"
    case .malformedControl: "a WebSocket control frame is fragmented or too long"
    case .misplacedFragment: "a WebSocket fragment is out of place"
    case .malformedClose: "a WebSocket close frame is malformed"
    case .invalidText: "a WebSocket text is not UTF-8"
    case .messageTooBig: "a WebSocket message is too big"
    }
  }

  /// The public text; an error holds nothing else.
  public var description: String { publicDescription }
}
