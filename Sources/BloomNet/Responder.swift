/// Answers requests.
public protocol HTTPResponder: Sendable {
  /// Answers one request; runs in the connection's task on its loop.
  ///
  /// The task is cancelled when the client leaves. What it throws becomes a response by
  /// ``HTTPServer/Configuration/errorResponse``.
  func respond(to request: Request) async throws -> Response
}

/// A responder made of a closure.
public struct Handler: HTTPResponder {
  private let body: @Sendable (Request) async throws -> Response

  /// Wraps a closure.
  public init(_ body: @escaping @Sendable (Request) async throws -> Response) { self.body = body }

  /// Calls the closure.
  public func respond(to request: Request) async throws -> Response { try await body(request) }
}

/// Looks at requests before, and at responses after, the responder behind it.
public protocol Middleware: Sendable {
  /// Answers itself, or calls `next` with the request or a changed one.
  func handle(_ request: Request, next: any HTTPResponder) async throws -> Response
}

extension HTTPResponder {
  /// This responder behind middleware; the first of the list sees a request first.
  public func behind(_ middleware: any Middleware...) -> any HTTPResponder { behind(middleware) }

  func behind(_ middleware: [any Middleware]) -> any HTTPResponder {
    var responder: any HTTPResponder = self
    for layer in middleware.reversed() { responder = Layer(middleware: layer, next: responder) }
    return responder
  }
}

private struct Layer: HTTPResponder {
  let middleware: any Middleware
  let next: any HTTPResponder

  func respond(to request: Request) async throws -> Response {
    try await middleware.handle(request, next: next)
  }
}
