package import BloomBase
internal import BloomHTTP
package import BloomNet
package import BloomWire

/// The coordinator's HTTP interface as a client uses it.
///
/// It checks nothing; callers do.
package struct CoordinatorClient: Sendable {
  /// What the coordinator answered instead of an answer.
  package struct Refusal: PublicError, Equatable {
    /// The wire's reason.
    package let reason: Reason

    /// Creates one.
    package init(reason: Reason) { self.reason = reason }

    /// The reason's name.
    package var publicDescription: String { "the coordinator refused: \(reason.name)" }
  }

  private let base: String
  private let http: HTTPClient
  private let apiKey: String?
  private let socket: String?

  /// Creates a client.
  ///
  /// - Parameters:
  ///   - base: `http` or `https` URL without a path.
  ///   - apiKey: The account's key.
  ///   - http: The connections.
  ///   - socket: A unix-domain socket in place of the URL's host: this device's own node.
  package init(base: String, apiKey: String?, http: HTTPClient, socket: String? = nil) {
    self.socket = socket
    self.base = base.hasSuffix("/") ? String(base.dropLast()) : base
    self.apiKey = apiKey
    self.http = http
  }

  /// The newest directory answer.
  ///
  /// - Parameter earlier: The size of the log that this device knows, 0 for none.
  /// - Returns: Its bytes, unchecked.
  /// - Throws: When the coordinator is out of reach or refuses.
  package func directory(earlier: UInt64) async throws -> [UInt8] {
    try await get("/v1/directory?from=\(earlier)", limit: 16 << 20)
  }

  /// Records of one tree of a snapshot.
  package func records(snapshot: UInt64, tree: Int, indexes: [Int]) async throws -> [UInt8] {
    let list = indexes.map { "\($0)" }.joined(separator: ",")
    return try await get("/v1/directory/\(snapshot)/\(tree)?indexes=\(list)", limit: 16 << 20)
  }

  /// A model's manifest.
  package func manifest(_ model: ModelID) async throws -> [UInt8] {
    try await get("/v1/manifests/\(model.digest.hex)", limit: 1 << 20)
  }

  /// Sends an envelope; the body of the response is outer records.
  ///
  /// - Throws: ``Refusal`` when the coordinator answers with anything but them.
  package func send(_ envelope: [UInt8]) async throws -> MessageBody {
    var request = try ClientRequest.post(
      base + "/v1/sealed", envelope, type: "application/darkbloom-req")
    if let apiKey {
      request.headers.add(.authorization, try HTTPFieldValue("Bearer " + apiKey))
    }
    request.unixSocket = socket
    let response = try await http.send(request)
    if response.status == .ok { return response.body }
    let text = try await response.body.collect(upTo: 65_536)
    let name = (try? JSONValue(decoding: text))?["error"]?["reason"]?.string
    throw Refusal(reason: name.flatMap { Reason(name: $0) } ?? .internalFault)
  }

  private func get(_ path: String, limit: Int) async throws -> [UInt8] {
    let response = try await http.send(try ClientRequest.get(base + path), timeout: .seconds(10))
    let bytes = try await response.body.collect(upTo: limit)
    guard response.status == .ok else { throw Refusal(reason: .staleKey) }
    return bytes
  }
}
