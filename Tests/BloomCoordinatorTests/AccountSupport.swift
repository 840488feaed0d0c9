import BloomBase
import BloomClient
import BloomCoordinator
import BloomCrypto
import BloomHTTP
import BloomLedger
import BloomNet
import BloomRecords
import BloomSeal
import BloomStore
import BloomWire
import Testing

/// A clock that stands still until it is moved.
final class ManualTime: TimeSource {
  private let seconds = Locked(Int64(1_800_000_000))

  func now() -> Instant {
    Instant(nanoseconds: UInt64(seconds.withLock { $0 } - 1_700_000_000) * 1_000_000_000)
  }
  func unixTime() -> UnixTime { UnixTime(seconds.withLock { $0 }) }
  func advance(_ by: Int64) { seconds.withLock { $0 += by } }
}

extension TestCoordinator {
  /// Seals a request with conditions.
  func seal(
    to machines: [Machine], _ constraints: Routing.Constraints, answer: AnswerID? = nil,
    part: Int = 0
  ) throws -> BloomSeal.SealedRequest {
    try RequestSealer.seal(
      request(answer ?? newAnswer(), part: part),
      options: SealOptions(
        tokenClass: .upTo256, deadlineMilliseconds: 20_000, padding: .padded,
        constraints: constraints),
      contexts: ReadyContexts(machines.map(\.target)))
  }

  /// A client with a key of the user, limited.
  func client(_ limits: KeyLimits) async throws -> CoordinatorClient {
    let key = try await Accounts(store: store).addKey(
      for: user, name: "limited", limits: limits, now: SystemTime().unixTime())
    return client(key: key.text)
  }

  /// An account with money whose key manages it.
  func manager(_ name: String) async throws -> (account: AccountID, key: String) {
    let account = try #require(AccountID(name))
    let accounts = Accounts(store: store)
    let now = SystemTime().unixTime()
    try await accounts.ensure(account, name: name, credit: Micros(1_000_000_000), now: now)
    let key = try await accounts.addKey(
      for: account, name: "test", managesAccount: true, now: now)
    return (account, key.text)
  }

  /// Makes an account the owner of a machine, before it connects.
  func own(
    _ machine: Machine, _ account: AccountID, region: String = "", isPrivate: Bool = false
  ) async throws {
    try await store.write([
      .put(
        OwnedNodeRecord(
          node: machine.node, owner: account, name: "test",
          joinedAt: SystemTime().unixTime(), region: region, isPrivate: isPrivate))
    ])
  }

  /// Asks the coordinator's JSON interface.
  func call(
    _ path: String, key: String?, _ members: KeyValuePairs<String, JSONValue>? = nil
  ) async throws -> (status: Int, value: JSONValue) {
    let url = "http://coordinator\(path)"
    var request =
      try members.map { try ClientRequest.post(url, JSONValue.members($0).encoded) }
      ?? ClientRequest.get(url)
    if let key { request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key)) }
    let response = try await http.send(request)
    let bytes = try await response.body.collect(upTo: 1 << 20)
    return (response.status.code, (try? JSONValue(decoding: bytes)) ?? .null)
  }

  /// Machines that a member of a pool finds in its directory, verified as a client does.
  func directory(of pool: String, key: String) async throws -> Set<NodeID> {
    let client = client(key: key, pool: pool)
    let verifier = try DirectoryVerifier(
      origin: PoolName.origin(of: pool, in: Self.origin), key: logKey.verifyingKey.bytes)
    let (snapshot, _) = try verifier.snapshot(
      try await client.directory(earlier: 0), known: nil, now: SystemTime().unixTime())
    var found: Set<NodeID> = []
    for (index, tree) in snapshot.trees.enumerated() {
      let indexes = Array(0..<tree.size)
      let bytes = try await client.records(
        snapshot: snapshot.number, tree: index, indexes: indexes)
      found.formUnion(
        try verifier.records(bytes, tree: tree, indexes: indexes).map(\.statement.nodeID))
    }
    return found
  }
}
