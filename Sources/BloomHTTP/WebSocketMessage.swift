/// A whole data message.
public enum WebSocketMessage: Sendable, Equatable {
  /// Valid UTF-8 of opcode 1.
  case text(String)
  /// Bytes of opcode 2.
  case binary([UInt8])
}

/// A status code of a close frame, RFC 6455 §7.4.
public struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable {
  /// The number on the wire.
  public let rawValue: UInt16

  /// Wraps a code that may be sent: 1000…1003, 1007…1014, 3000…4999; `nil` for any other.
  public init?(rawValue: UInt16) {
    switch rawValue {
    case 1000...1003, 1007...1014, 3000...4999: self.rawValue = rawValue
    default: return nil
    }
  }

  private init(known rawValue: UInt16) { self.rawValue = rawValue }

  /// 1000: done.
  public static let normal = WebSocketCloseCode(known: 1000)
  /// 1001: the server stops or the page is left.
  public static let goingAway = WebSocketCloseCode(known: 1001)
  /// 1002: the peer broke the protocol.
  public static let protocolError = WebSocketCloseCode(known: 1002)
  /// 1003: this kind of data is not taken.
  public static let unsupportedData = WebSocketCloseCode(known: 1003)
  /// 1007: data that is not what its type says.
  public static let invalidPayload = WebSocketCloseCode(known: 1007)
  /// 1008: refused by policy.
  public static let policyViolation = WebSocketCloseCode(known: 1008)
  /// 1009: a message too big.
  public static let messageTooBig = WebSocketCloseCode(known: 1009)
  /// 1011: an error on our side.
  public static let internalError = WebSocketCloseCode(known: 1011)
  /// 1012: the service restarts.
  public static let serviceRestart = WebSocketCloseCode(known: 1012)
  /// 1013: try again later.
  public static let tryAgainLater = WebSocketCloseCode(known: 1013)
}

/// Which end of a WebSocket connection this is; it decides who masks.
public enum WebSocketRole: Sendable, Equatable {
  /// Receives masked frames, sends plain ones.
  case server
  /// Receives plain frames, sends masked ones.
  case client
}
