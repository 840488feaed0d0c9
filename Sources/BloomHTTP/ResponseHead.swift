/// The head of a response and what follows from it.
public struct ResponseHead: Sendable, Equatable {
  /// The outcome.
  public var status: HTTPStatus
  /// As in the status line.
  public var version: HTTPVersion
  /// The field lines.
  public var fields: HTTPFields
  /// How the body ends.
  public var framing: BodyFraming
  /// Whether the connection may be used again after the body.
  public var keepsAlive: Bool

  /// A response to be sent.
  ///
  /// - Parameters:
  ///   - status: The outcome.
  ///   - fields: Without Content-Length, Transfer-Encoding, Connection and Date.
  ///   - framing: How the body is sent; for HEAD and 304 the framing that GET would have.
  public init(
    _ status: HTTPStatus, fields: HTTPFields = HTTPFields(), framing: BodyFraming = .none
  ) {
    self.status = status
    self.fields = fields
    self.framing = framing
    version = .http11
    keepsAlive = true
  }

  init(
    status: HTTPStatus, version: HTTPVersion, fields: HTTPFields, framing: BodyFraming,
    keepsAlive: Bool
  ) {
    self.status = status
    self.version = version
    self.fields = fields
    self.framing = framing
    self.keepsAlive = keepsAlive
  }

  /// The whole interim response that lets a client send its body.
  public static let continueLine: [UInt8] = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
}
