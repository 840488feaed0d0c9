internal import BloomBase
public import BloomHTTP

/// Finds the handler of a path and method.
///
/// Routes are made of literal segments, `:name` for one segment, and `*name` at the end for the
/// rest of the path. A literal wins over a parameter, a parameter over the rest. A known path with
/// another method is 405 with Allow; HEAD is served by GET; OPTIONS by the list of methods.
public struct Router: HTTPResponder {
  private struct Node: Sendable {
    var literals: [String: Node] = [:]
    // A box of at most one element: structs cannot hold themselves.
    var parameter: [Node] = []
    var handlers: [HTTPMethod: Route] = [:]
    var rest: [HTTPMethod: Route] = [:]
  }
  private struct Route: Sendable {
    var names: [String]
    var responder: any HTTPResponder
  }

  private var root = Node()
  private var exact: [String: [HTTPMethod: Route]] = [:]
  private var layers: [any Middleware] = []
  /// Every route that was added, in order, with its pattern as written.
  public private(set) var routes: [(method: HTTPMethod, pattern: String)] = []
  private let notFound: @Sendable (Request) -> Response

  /// An empty router.
  ///
  /// - Parameter notFound: Answers paths without a route.
  public init(
    notFound: @escaping @Sendable (Request) -> Response = { _ in
      .text("not found\n", status: .notFound)
    }
  ) {
    self.notFound = notFound
  }

  /// Puts middleware in front of the routes that are added after this call.
  public mutating func use(_ middleware: any Middleware) { layers.append(middleware) }

  /// Adds a route; the same route twice is a programming error.
  ///
  /// - Parameters:
  ///   - method: The method.
  ///   - pattern: For example `/v1/models/:id` or `/assets/*path`.
  ///   - responder: Answers it.
  public mutating func on(
    _ method: HTTPMethod, _ pattern: String, responder: any HTTPResponder
  ) {
    invariant(pattern.hasPrefix("/"), "a route starts with /")
    let segments = pattern.split(separator: "/").map(String.init)
    var names: [String] = []
    for (index, segment) in segments.enumerated() {
      if segment.hasPrefix(":") || segment.hasPrefix("*") {
        names.append(String(segment.dropFirst()))
      }
      invariant(
        !segment.hasPrefix("*") || index == segments.count - 1, "* is the last segment of a route")
    }
    routes.append((method, pattern))
    let route = Route(names: names, responder: responder.behind(layers))
    Self.insert(route, method, segments[...], into: &root)
    if names.isEmpty { exact[pattern, default: [:]][method] = route }
  }

  /// Adds a route answered by a closure.
  public mutating func on(
    _ method: HTTPMethod, _ pattern: String,
    _ handler: @escaping @Sendable (Request) async throws -> Response
  ) {
    on(method, pattern, responder: Handler(handler))
  }

  /// Adds a GET route, which also serves HEAD.
  public mutating func get(
    _ pattern: String, _ handler: @escaping @Sendable (Request) async throws -> Response
  ) {
    on(.get, pattern, handler)
  }

  /// Adds a POST route.
  public mutating func post(
    _ pattern: String, _ handler: @escaping @Sendable (Request) async throws -> Response
  ) {
    on(.post, pattern, handler)
  }

  private static func insert(
    _ route: Route, _ method: HTTPMethod, _ segments: ArraySlice<String>, into node: inout Node
  ) {
    guard let first = segments.first else {
      invariant(node.handlers[method] == nil, "the route exists already")
      node.handlers[method] = route
      return
    }
    if first.hasPrefix("*") {
      invariant(node.rest[method] == nil, "the route exists already")
      node.rest[method] = route
    } else if first.hasPrefix(":") {
      if node.parameter.isEmpty { node.parameter = [Node()] }
      insert(route, method, segments.dropFirst(), into: &node.parameter[0])
    } else {
      insert(route, method, segments.dropFirst(), into: &node.literals[first, default: Node()])
    }
  }

  /// Finds the route and calls its responder.
  public func respond(to request: Request) async throws -> Response {
    let path = request.path
    if let found = exact[path]?[request.method] {
      return try await found.responder.respond(to: request)
    }
    var values: [String] = []
    let segments = try request.head.target.segments()
    guard let handlers = Self.find(segments[...], in: root, &values) else {
      return notFound(request)
    }
    let method = request.method
    if let route = handlers[method] ?? (method == .head ? handlers[.get] : nil) {
      var request = request
      for (name, value) in zip(route.names, values) { request.parameters.append(name, value) }
      return try await route.responder.respond(to: request)
    }
    return Self.refusal(method, handlers)
  }

  private static func find(
    _ segments: ArraySlice<String>, in node: Node, _ values: inout [String]
  ) -> [HTTPMethod: Route]? {
    guard let first = segments.first else {
      if !node.handlers.isEmpty { return node.handlers }
      if node.rest.isEmpty { return nil }
      values.append("")
      return node.rest
    }
    let mark = values.count
    if let next = node.literals[first], let found = find(segments.dropFirst(), in: next, &values) {
      return found
    }
    if let next = node.parameter.first {
      values.append(first)
      if let found = find(segments.dropFirst(), in: next, &values) { return found }
      values.removeLast(values.count - mark)
    }
    if node.rest.isEmpty { return nil }
    values.append(segments.joined(separator: "/"))
    return node.rest
  }

  private static func refusal(_ method: HTTPMethod, _ handlers: [HTTPMethod: Route]) -> Response {
    var allowed = Set(handlers.keys.map(\.name))
    if allowed.contains("GET") { allowed.insert("HEAD") }
    allowed.insert("OPTIONS")
    let isOptions = method == .options
    var response =
      isOptions
      ? Response(.noContent) : Response.text("method not allowed\n", status: .methodNotAllowed)
    if let value = try? HTTPFieldValue(allowed.sorted().joined(separator: ", ")) {
      response.headers.add(.allow, value)  // method names are tokens: always valid
    }
    return response
  }
}
