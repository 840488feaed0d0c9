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
    /// Read the owner's settings again.
    case reload
    /// End, drained.
    case stop
    /// What was earned, day by day.
    case earnings
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
    case .reload: request = try .post("http://node/v1/reload", [])
    case .stop: request = try .post("http://node/v1/stop", [])
    case .earnings: request = try .get("http://node/v1/earnings")
    }
    request.unixSocket = path
    do {
      let response = try await client.send(request, timeout: .seconds(5))
      let value = try JSONValue(decoding: try await response.body.collect(upTo: 1 << 20))
      guard let error = value["error"]?.string else { return value }
      throw NodeError(.badConfiguration, error)
    } catch let error as NetError where error.code == .connectFailed || error.code == .system {
      throw NodeError(.notRunning, "no node runs here; start one: darkbloom node run")
    }
  }
}
