import BloomBase
import BloomLedger
import BloomStore
import BloomTestSupport
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Rows of earlier versions are read for ever; what is written has the newest form.
@Suite struct RecordVersionTests {
  private let now = UnixTime(1_700_000_000)
  private let digest = Digest([UInt8](repeating: 7, count: 32)) ?? .zero

  @Test func `a key of version 1 manages its account and has no limits`() throws {
    var to = PackedWriter(version: 1)
    to.put(digest)
    to.put("alice")
    to.put("laptop")
    to.put(now)
    to.put(UnixTime?.none) { to, time in to.put(time) }
    let key = try APIKeyRecord(packed: to.bytes, expires: nil)
    #expect((key.name, key.managesAccount) == ("laptop", true))
    #expect(key.limits == KeyLimits())
    #expect(try APIKeyRecord(packed: key.packed, expires: nil) == key)
  }

  @Test func `a pool of version 1 demands nothing`() throws {
    var to = PackedWriter(version: 1)
    to.put("lab")
    to.put("alice")
    to.put(["alice"]) { to, name in to.put(name) }
    to.put([digest]) { to, digest in to.put(digest) }
    to.put(now)
    let pool = try PoolRecord(packed: to.bytes, expires: nil)
    #expect(pool.nodes == [NodeID(digest)])
    #expect(pool.policy == PoolPolicy())
  }

  @Test func `a machine of version 1 is nowhere and public`() throws {
    var to = PackedWriter(version: 1)
    to.put(digest)
    to.put("alice")
    to.put("attic")
    to.put(now)
    to.put([1, 2] as [UInt8])
    let node = try OwnedNodeRecord(packed: to.bytes, expires: nil)
    #expect((node.region, node.isPrivate) == ("", false))
    #expect(node.state == [1, 2])
  }

  @Test(arguments: ["", "lab"])
  func `an invite of version 1 is for its pool, or for a user`(pool: String) throws {
    var to = PackedWriter(version: 1)
    to.put(digest)
    to.put("alice")
    to.put(pool)
    to.put(Micros(3))
    to.put(2)
    let invite = try InviteRecord(packed: to.bytes, expires: now)
    #expect(invite.purpose == (pool.isEmpty ? .user : .pool))
    #expect((invite.credit, invite.usesLeft) == (Micros(3), 2))
  }

  @Test func `every field of the newest form comes back`() throws {
    let limits = KeyLimits(
      perDay: Micros(1), perMonth: Micros(2), requestsPerMinute: 3, models: [ModelID(digest)],
      pool: "lab", region: "eu", minimumTier: 2, expires: now)
    let account = try #require(AccountID("alice"))
    let key = APIKeyRecord(
      hash: digest, account: account, name: "k", createdAt: now, revokedAt: now, limits: limits,
      managesAccount: true)
    #expect(try APIKeyRecord(packed: key.packed, expires: nil) == key)
    let spend = KeySpendRecord(
      hash: digest, day: 19_000, daySpent: Micros(1), month: 24_000, monthSpent: Micros(2),
      pending: Micros(3))
    #expect(try KeySpendRecord(packed: spend.packed, expires: nil) == spend)
    let pool = PoolRecord(
      name: "lab", owner: account, members: [account], nodes: [NodeID(digest)], createdAt: now,
      policy: PoolPolicy(
        minimumTier: 1, region: "eu", models: [ModelID(digest)], membersInvite: true,
        maximumMembers: 5))
    #expect(try PoolRecord(packed: pool.packed, expires: nil) == pool)
    let node = OwnedNodeRecord(
      node: NodeID(digest), owner: account, name: "n", joinedAt: now, region: "eu",
      isPrivate: true)
    #expect(try OwnedNodeRecord(packed: node.packed, expires: nil) == node)
    for purpose in InviteRecord.Purpose.allCases {
      let invite = InviteRecord(hash: digest, inviter: account, pool: "lab", purpose: purpose)
      #expect(try InviteRecord(packed: invite.packed, expires: nil) == invite)
    }
    for action in PoolEventRecord.Action.allCases {
      let event = PoolEventRecord(
        pool: "lab", time: now, number: .max, action: action, account: account, subject: "s",
        node: NodeID(digest), model: ModelID(digest), promptTokens: 1, completionTokens: 2)
      #expect(try PoolEventRecord(packed: event.packed, expires: event.expires) == event)
    }
    #expect(throws: PackedError.self) {
      try APIKeyRecord(packed: Array(key.packed.dropLast()), expires: nil)
    }
  }

  @Test func `the events of a pool are listed in the order of time and survive a restart`()
    async throws
  {
    let folder = try TemporaryFolder("events")
    let path = folder.path + "/ledger.sqlite"
    let account = try #require(AccountID("alice"))
    let store = try await LedgerStore.open(SQLiteBackend(path: path), clock: TestClock())
    for (index, seconds) in [30, 10, 20].enumerated() {
      let event = PoolEventRecord(
        pool: "lab", time: UnixTime(Int64(seconds)), number: UInt64(index), action: .joined,
        account: account)
      try await store.write([.put(event)])
    }
    await store.close()
    let again = try await LedgerStore.open(SQLiteBackend(path: path), clock: TestClock())
    let events = try await again.fetch(PoolEventRecord.self, group: "lab")
    #expect(events.map(\.time.seconds) == [10, 20, 30])
    #expect(try await again.fetch(PoolEventRecord.self, group: "other").isEmpty)
    await again.close()
  }

  @Test func `nobody but the owner reads a database, its log and its backup`() async throws {
    let folder = try TemporaryFolder("modes")
    let path = folder.path + "/ledger.sqlite"
    // A file of an earlier version, open to all.
    close(unsafe open(path, O_CREAT | O_RDWR, 0o644))
    let backend = SQLiteBackend(path: path)
    let store = try await LedgerStore.open(backend, clock: TestClock())
    try await store.apply(.grant(key: "1", account("user"), Micros(7)))
    try await backend.backUp(to: folder.path + "/backup.sqlite")
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "backup.sqlite"] {
      var facts = stat()
      let isThere = unsafe stat("\(folder.path)/\(name)", &facts) == 0
      #expect(isThere, "\(name)")
      #expect(facts.st_mode & 0o777 == 0o600, "\(name)")
    }
    await store.close()
  }
}
