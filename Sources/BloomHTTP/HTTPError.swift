public import BloomBase

/// Why a head, a body, a target or a field was refused.
///
/// Every error ends the connection: after one the parser's position in the stream is not known.
public struct HTTPError: PublicError, Equatable, CustomStringConvertible {
  /// What was wrong.
  public enum Code: Sendable, Equatable, CaseIterable {
    /// The request or status line does not follow RFC 9112 §3 or §4.
    case malformedStartLine
    /// A line ends in a bare LF or CR, or a control character is in the head.
    case malformedLine
    /// A field line has no colon, a bad name or a bad value, or is folded.
    case malformedField
    /// Content-Length and Transfer-Encoding are repeated, combined or not understood.
    case ambiguousFraming
    /// A transfer coding other than `chunked`.
    case unsupportedCoding
    /// Host is missing, repeated, malformed or differs from an absolute target.
    case badHost
    /// The target has no valid form for its method.
    case badTarget
    /// The target is longer than ``HTTPLimits/maxTargetBytes``.
    case targetTooLong
    /// The head is longer than ``HTTPLimits/maxHeadBytes`` or has too many fields.
    case headTooLarge
    /// The body is longer than ``HTTPLimits/maxBodyBytes``.
    case bodyTooLarge
    /// A chunk's size, extension or end is malformed, or trailers follow the last chunk.
    case malformedChunk
    /// The protocol version is not 1.0 or 1.1.
    case unsupportedVersion
    /// An expectation other than `100-continue`.
    case unsupportedExpectation
    /// The peer closed in the middle of a message.
    case truncated
    /// More interim responses than ``HTTPLimits/maxInterimResponses``, or bytes nobody asked for.
    case unexpectedResponse
    /// A name or value to be sent holds a character that would change the message.
    case unsafeField
    /// A form body or part head does not follow RFC 7578 and RFC 2046.
    case malformedMultipart
    /// A form body passes one of ``MultipartLimits``.
    case multipartTooLarge
    /// A line or an event of a stream passes one of ``SSELimits``.
    case eventTooLarge
    /// A URL is malformed or its scheme is not one of `http`, `https`, `ws`, `wss`.
    case badURL
    /// A request or response is not a valid WebSocket handshake.
    case badHandshake
  }

  /// What was wrong.
  public let code: Code

  /// Wraps a code.
  public init(_ code: Code) { self.code = code }

  /// The status a server answers with before it closes.
  public var status: HTTPStatus {
    switch code {
    case .malformedStartLine, .malformedLine, .malformedField, .ambiguousFraming, .badHost,
      .badTarget, .malformedChunk, .truncated, .malformedMultipart, .badURL, .badHandshake:
      .badRequest
    case .unsupportedCoding: .notImplemented
    case .targetTooLong: .uriTooLong
    case .headTooLarge: .requestHeaderFieldsTooLarge
    case .bodyTooLarge, .multipartTooLarge: .contentTooLarge
    case .unsupportedVersion: .httpVersionNotSupported
    case .unsupportedExpectation: .expectationFailed
    case .unexpectedResponse, .eventTooLarge: .badGateway
    case .unsafeField: .internalServerError
    }
  }

  /// One sentence that names no content of the message.
  public var publicDescription: String {
    switch code {
    case .malformedStartLine: "the first line is not HTTP/1.1"
    case .malformedLine: "a line of the head holds a bare line end or a control character"
    case .malformedField: "a header field is malformed"
    case .ambiguousFraming: "the length of the body is ambiguous"
    case .unsupportedCoding: "the only supported transfer coding is chunked"
    case .badHost: "the Host field is missing, repeated or malformed"
    case .badTarget: "the request target is malformed"
    case .targetTooLong: "the request target is too long"
    case .headTooLarge: "the header fields are too large"
    case .bodyTooLarge: "the body is too large"
    case .malformedChunk: "a chunk of the body is malformed or trailers follow it"
    case .unsupportedVersion: "the HTTP version is not supported, use HTTP/1.1"
    case .unsupportedExpectation: "the only supported expectation is 100-continue"
    case .truncated: "the peer closed the connection inside a message"
    case .unexpectedResponse: "the server sent a response nobody asked for"
    case .unsafeField: "a header field to be sent holds a forbidden character"
    case .malformedMultipart: "the form body is malformed"
    case .multipartTooLarge: "the form body has too many or too large parts"
    case .eventTooLarge: "an event of the stream is too large"
    case .badURL: "the URL is malformed or its scheme is not supported"
    case .badHandshake: "this is not a valid WebSocket handshake"
    }
  }

  /// The public text; an error holds nothing else.
  public var description: String { publicDescription }
}
