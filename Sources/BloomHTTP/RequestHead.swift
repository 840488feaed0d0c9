/// The head of a request and what follows from it.
public struct RequestHead: Sendable, Equatable {
  /// What is asked for.
  public var method: HTTPMethod
  /// On what.
  public var target: RequestTarget
  /// As in the request line.
  public var version: HTTPVersion
  /// The field lines, Host included when it was received.
  public var fields: HTTPFields
  /// How the body ends; never ``BodyFraming/untilClose``.
  public var framing: BodyFraming
  /// Whether the client lets the connection stay open after the response, RFC 9112 §9.3.
  public var keepsAlive: Bool
  /// Whether the client waits for `100 Continue` before it sends the body, RFC 9110 §10.1.1.
  ///
  /// Answer ``ResponseHead/continueLine`` before reading the body, or a final status instead; after
  /// a final status the connection must close, since the body may or may not follow.
  public var expectsContinue: Bool
  /// Whether `Connection: upgrade` and an Upgrade field are both there.
  public var asksUpgrade: Bool

  /// A request to be sent.
  ///
  /// - Parameters:
  ///   - method: The method.
  ///   - target: Where to; its authority becomes the Host field when it has one.
  ///   - fields: Without Content-Length, Transfer-Encoding and Connection.
  ///   - framing: How the body is sent.
  public init(
    _ method: HTTPMethod, _ target: RequestTarget, fields: HTTPFields = HTTPFields(),
    framing: BodyFraming = .none
  ) {
    self.method = method
    self.target = target
    self.version = .http11
    self.fields = fields
    self.framing = framing
    keepsAlive = true
    expectsContinue = false
    asksUpgrade = false
  }

  init(
    method: HTTPMethod, target: RequestTarget, version: HTTPVersion, fields: HTTPFields,
    framing: BodyFraming, keepsAlive: Bool, expectsContinue: Bool, asksUpgrade: Bool
  ) {
    self.method = method
    self.target = target
    self.version = version
    self.fields = fields
    self.framing = framing
    self.keepsAlive = keepsAlive
    self.expectsContinue = expectsContinue
    self.asksUpgrade = asksUpgrade
  }
}
