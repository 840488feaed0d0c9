internal import BloomBase
internal import BloomHTTP
internal import BloomNet
package import BloomWire

/// Speaks to a running agent over its local socket, for `darkbloom node status` and the like.
package struct NodeConsoleClient: Sendable {
  /// What can be asked.
  package enum Call: Sendable {
    /// What the agent does now.
    case status
    /// Take no work until ``resume``.
    case pause
    /// Take work again.
    case resume
  }

  private let path: String

  /// Names the socket file.
  package init(socket path: String) { self.path = path }

  /// Asks, and gives the status as JSON.
  ///
  /// - Throws: ``NodeError`` `notRunning` when no agent answers.
  package func ask(_ call: Call) async throws -> JSONValue {
    let client = HTTPClient()
    defer { client.close() }
    var request: ClientRequest
    switch call {
    case .status: request = try .get("http://node/v1/status")
    case .pause: request = try .post("http://node/v1/pause", [])
    case .resume: request = try .post("http://node/v1/resume", [])
    }
    request.unixSocket = path
    do {
      let response = try await client.send(request, timeout: .seconds(5))
      return try JSONValue(decoding: try await response.body.collect(upTo: 1 << 20))
    } catch let error as NetError where error.code == .connectFailed || error.code == .system {
      throw NodeError(.notRunning, "no node runs here; start one: darkbloom node run")
    }
  }
}
