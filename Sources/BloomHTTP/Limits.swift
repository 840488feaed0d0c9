/// What an HTTP/1.1 parser accepts at most.
///
/// Our own limits, not the specification's: RFC 9112 §3 asks for targets of 8,000 bytes at least.
public struct HTTPLimits: Sendable, Equatable {
  /// Bytes of a request target, 1…65,535.
  public var maxTargetBytes = 8_192
  /// Bytes of a whole head, from the first line to the empty one, up to 1 MiB.
  public var maxHeadBytes = 32_768
  /// Field lines in a head.
  public var maxFields = 100
  /// Bytes of a body, whatever its framing; `nil` for no limit.
  public var maxBodyBytes: Int?
  /// Bytes of chunk extensions in a whole body; they are read and dropped, RFC 9112 §7.1.1.
  public var maxChunkExtensionBytes = 1_024
  /// Interim (1xx) responses before a final one.
  public var maxInterimResponses = 16

  /// The defaults above.
  public init() {}
}

/// What a form body may hold at most.
public struct MultipartLimits: Sendable, Equatable {
  /// Parts in a body.
  public var maxParts = 64
  /// Bytes of one part's head.
  public var maxPartHeadBytes = 4_096
  /// Field lines in one part's head.
  public var maxPartFields = 16
  /// Bytes of one part's content.
  public var maxPartBytes = 64 << 20
  /// Bytes before the first boundary, which RFC 2046 says to ignore.
  public var maxPreambleBytes = 1_024

  /// The defaults above.
  public init() {}
}

/// What a stream of server-sent events may hold at most.
public struct SSELimits: Sendable, Equatable {
  /// Bytes of one line.
  public var maxLineBytes = 4 << 20
  /// Bytes of one event's data.
  public var maxEventBytes = 16 << 20

  /// The defaults above.
  public init() {}
}

/// What a WebSocket peer may send at most.
public struct WebSocketLimits: Sendable, Equatable {
  /// Bytes of a whole message, over all its fragments.
  public var maxMessageBytes = 16 << 20
  /// Frames of one message; bounds the work a peer can cause with empty fragments.
  public var maxFragments = 65_536

  /// The defaults above.
  public init() {}
}
