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
  /// Where what is shown to the coordinator is noted.
  let tap: WireTap?
  /// The pool whose directory is asked for; `nil` for the network's.
  package let pool: String?

  /// Creates a client.
  ///
  /// - Parameters:
  ///   - base: `http` or `https` URL without a path.
  ///   - apiKey: The account's key.
  ///   - pool: Asks for this pool's directory in place of the network's. Its log is another one:
  ///     verify it with the origin `PoolName.origin(of:in:)`.
  ///   - http: The connections.
  ///   - socket: A unix-domain socket in place of the URL's host: this device's own node.
  ///   - tap: Notes what the coordinator is shown; `nil` for nobody.
  package init(
    base: String, apiKey: String?, pool: String? = nil, http: HTTPClient, socket: String? = nil,
    tap: WireTap? = nil
  ) {
    self.socket = socket
    self.tap = tap
    self.base = base.hasSuffix("/") ? String(base.dropLast()) : base
    self.apiKey = apiKey
    self.pool = pool
    self.http = http
  }

  private var directoryPath: String { pool.map { "/v1/pools/\($0)/directory" } ?? "/v1/directory" }

  /// The newest directory answer.
  ///
  /// - Parameter earlier: The size of the log that this device knows, 0 for none.
  /// - Returns: Its bytes, unchecked.
  /// - Throws: When the coordinator is out of reach or refuses.
  package func directory(earlier: UInt64) async throws -> [UInt8] {
    try await get(directoryPath + "?from=\(earlier)", limit: 16 << 20)
  }

  /// Records of one tree of a snapshot.
  package func records(snapshot: UInt64, tree: Int, indexes: [Int]) async throws -> [UInt8] {
    let list = indexes.map { "\($0)" }.joined(separator: ",")
    return try await get(
      "\(directoryPath)/\(snapshot)/\(tree)?indexes=\(list)", limit: 16 << 20)
  }

  /// A model's manifest.
  package func manifest(_ model: ModelID) async throws -> [UInt8] {
    try await get("/v1/manifests/\(model.digest.hex)", limit: 1 << 20)
  }

  /// What comes back for an envelope that was taken up.
  package struct Reply: Sendable {
    /// Outer records.
    package let body: MessageBody
    /// What the coordinator's scheduler thought of each machine, in its words; at most 1,024 bytes.
    package let placement: String?
  }

  /// Sends an envelope; the body of the response is outer records.
  ///
  /// - Throws: ``Refusal`` when the coordinator answers with anything but them.
  package func send(_ envelope: [UInt8]) async throws -> MessageBody {
    try await post(envelope).body
  }

  /// Sends an envelope.
  ///
  /// - Throws: ``Refusal`` when the coordinator answers with anything but outer records.
  package func post(_ envelope: [UInt8]) async throws -> Reply {
    var request = try ClientRequest.post(
      base + "/v1/sealed", envelope, type: "application/darkbloom-req")
    if let apiKey {
      request.headers.add(.authorization, try HTTPFieldValue("Bearer " + apiKey))
    }
    request.unixSocket = socket
    tap?.note(envelope: envelope)
    let response = try await http.send(request)
    if response.status == .ok {
      let placement = response.headers["darkbloom-placement"]
      return Reply(
        body: response.body, placement: placement.flatMap { $0.utf8.count <= 1024 ? $0 : nil })
    }
    let reason = Self.reason(try await response.body.collect(upTo: 65_536))
    tap?.note(.refusal(reason: reason.name))
    throw Refusal(reason: reason)
  }

  /// Tells what was received of a part, within eight seconds.
  ///
  /// - Throws: ``Refusal`` when the coordinator knows no such part of this account.
  package func acknowledge(_ acknowledgement: ReceiptAcknowledgement) async throws {
    var request = try ClientRequest.post(base + "/v1/receipts/ack", acknowledgement.json)
    if let apiKey {
      request.headers.add(.authorization, try HTTPFieldValue("Bearer " + apiKey))
    }
    let response = try await http.send(request, timeout: .seconds(8))
    _ = try await response.body.collect(upTo: 65_536)
    // Unknown is an answer too: asking again would not change it.
    guard response.status == .ok || response.status == .notFound else {
      throw Refusal(reason: .internalFault)
    }
  }

  private func get(_ path: String, limit: Int) async throws -> [UInt8] {
    var request = try ClientRequest.get(base + path)
    // A pool's directory is its members' alone; the network's is everybody's, and nobody is named.
    if pool != nil, let apiKey {
      request.headers.add(.authorization, try HTTPFieldValue("Bearer " + apiKey))
    }
    let response = try await http.send(request, timeout: .seconds(10))
    let bytes = try await response.body.collect(upTo: limit)
    tap?.note(.directory(byteCount: bytes.count))
    guard response.status == .ok else {
      throw Refusal(
        reason: response.status == .notFound ? .staleKey : Self.reason(bytes))
    }
    return bytes
  }

  private static func reason(_ body: [UInt8]) -> Reason {
    let name = (try? JSONValue(decoding: body))?["error"]?["reason"]?.string
    return name.flatMap { Reason(name: $0) } ?? .internalFault
  }
}
