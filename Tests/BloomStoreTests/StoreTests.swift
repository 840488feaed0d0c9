import BloomBase
import BloomLedger
import BloomStore
import BloomTestSupport
import BloomTestTraits
import Testing

@Suite(.ownThread) struct StoreTests {
  @Test func `memory keeps what a backend must keep`() async throws {
    let backend = MemoryBackend()
    try await ConformanceSuite { backend }.run()
  }

  @Test func `sqlite keeps what a backend must keep`() async throws {
    let folder = try TemporaryFolder("store")
    let path = folder.path + "/ledger.sqlite"
    try await ConformanceSuite { SQLiteBackend(path: path) }.run()
  }

  @Test func `a backup made in use is a whole ledger`() async throws {
    let folder = try TemporaryFolder("store")
    let backend = SQLiteBackend(path: folder.path + "/ledger.sqlite")
    let store = try await LedgerStore.open(backend, clock: TestClock())
    for number in 0..<20 {
      try await store.apply(.grant(key: "\(number)", account("user"), Micros(7)))
      if number == 9 { try await backend.backUp(to: folder.path + "/backup.sqlite") }
    }
    await store.close()
    let copy = SQLiteBackend(path: folder.path + "/backup.sqlite")
    let audit = try await copy.verify()
    #expect(audit.findings == [])
    #expect(audit.entryCount == 10)
    let restored = try await LedgerStore.open(copy, clock: TestClock())
    #expect(restored.balance(of: account("user")).available == Micros(70))
    await restored.close()
  }

  @Test(.timeLimit(.minutes(2)))
  func `a copy of many steps ends while others write, and is whole`() async throws {
    let folder = try TemporaryFolder("store")
    let path = folder.path + "/ledger.sqlite"
    let store = try await LedgerStore.open(SQLiteBackend(path: path), clock: TestClock())
    // A step of a copy takes 4 MiB: eight of them.
    for number in UInt64(0)..<32 {
      let row = KeyStatementRecord(
        digest: digest(number), bytes: [UInt8](repeating: 7, count: 1 << 20),
        expires: UnixTime(4_000_000_000))
      try await store.write([.put(row)])
    }
    let isOver = Locked(false)
    let written = Locked(0)
    let writing = Task {
      while !isOver.withLock({ $0 }) {
        let number = written.withLock { $0 }
        try await store.apply(.grant(key: "g\(number)", account("user"), Micros(1)))
        written.withLock { $0 += 1 }
      }
    }
    defer { isOver.withLock { $0 = true } }
    // Until something was written while it was copied; on a busy machine the first may be alone.
    var wasBeside = false
    for number in 0..<20 where !wasBeside {
      let target = folder.path + "/copy-\(number).sqlite"
      let before = written.withLock { $0 }
      try SQLiteBackend.copy(path, to: target)
      let after = written.withLock { $0 }
      wasBeside = after > before
      let audit = try await SQLiteBackend(path: target).verify()
      #expect(audit.findings == [])
      // One may be on the disk and not counted yet.
      #expect((before...(after + 1)).contains(Int(audit.entryCount)))
    }
    isOver.withLock { $0 = true }
    try await writing.value
    await store.close()
    #expect(wasBeside)
  }

  @Test func `a change the database refuses fails alone`() async throws {
    let backend = MemoryBackend()
    let store = try await LedgerStore.open(backend, clock: TestClock())
    backend.failCommits { changes in
      changes.ledger.entries.contains { $0.reference == "bad" }
        ? StoreError(.rejected, "test") : nil
    }
    let tickets = try ["a", "bad", "c"].map {
      try store.submit(.grant(key: $0, account("user"), Micros(1)))
    }
    try await store.durable(tickets[0])
    await #expect(throws: StoreError(.rejected, "test")) { try await store.durable(tickets[1]) }
    try await store.durable(tickets[2])
    #expect(store.balance(of: account("user")).available == Micros(2))
    #expect(try await backend.verify().findings == [])
  }

  @Test func `a change whose fate is unknown can be repeated`() async throws {
    let backend = MemoryBackend()
    let store = try await LedgerStore.open(backend, clock: TestClock())
    backend.failCommits { _ in StoreError(.unavailable, "test") }
    let command = LedgerCommand.grant(key: "a", account("user"), Micros(1))
    await #expect(throws: StoreError(.unavailable, "test")) { try await store.apply(command) }
    #expect(store.balance(of: account("user")).available == .zero)
    backend.failCommits(nil)
    #expect(try await store.apply(command) == .posted(sequence: 1))
    #expect(try await store.apply(command) == .posted(sequence: 1))
    #expect(store.balance(of: account("user")).available == Micros(1))
  }

  @Test func `more changes than may wait are refused`() async throws {
    let store = try await LedgerStore.open(MemoryBackend(), clock: TestClock(), pendingLimit: 2)
    let ticket = try store.submit(.grant(key: "1", account("user"), Micros(1)))
    _ = try store.submit(.grant(key: "2", account("user"), Micros(1)))
    #expect(throws: StoreError(.overloaded, "2 changes wait")) {
      try store.submit(.grant(key: "3", account("user"), Micros(1)))
    }
    try await store.durable(ticket)
    try await store.apply(.grant(key: "3", account("user"), Micros(1)))
  }

  @Test func `what is decided from rows sees all that was taken before, and is refused whole`()
    async throws
  {
    let store = try await LedgerStore.open(MemoryBackend(), clock: TestClock())
    let rows = ["a", "b"].map {
      AccountRecord(account: account($0), name: $0, createdAt: UnixTime(1))
    }
    // Not on the disk yet.
    try store.submit([.put(rows[0])])
    try await store.write { seen in
      #expect(seen.list(AccountRecord.self) == [rows[0]])
      #expect(seen.get(AccountRecord.self, "a") == rows[0])
      #expect(seen.get(AccountRecord.self, "b") == nil)
      return [.put(rows[1], if: .absent)]
    }
    await #expect(throws: StoreError(.rejected, "test")) {
      try await store.write { seen in
        guard seen.list(AccountRecord.self).isEmpty else { throw StoreError(.rejected, "test") }
        return [.delete(rows[0])]
      }
    }
    #expect(store.list(AccountRecord.self) == rows)
    await store.close()
  }

  @Test func `a file of a newer version is refused`() async throws {
    let folder = try TemporaryFolder("store")
    let path = folder.path + "/ledger.sqlite"
    let store = try await LedgerStore.open(SQLiteBackend(path: path), clock: TestClock())
    await store.close()
    // The version is a 4-byte number at offset 60 of the file (sqlite.org/fileformat.html §1.3).
    let script = "printf '\\000\\000\\000\\377' | dd of=\(path) bs=1 seek=60 conv=notrunc"
    #expect(ChildProcess.run(["/bin/sh", "-c", script]) == 0)
    await #expect(throws: StoreError.self) {
      try await LedgerStore.open(SQLiteBackend(path: path), clock: TestClock())
    }
  }

  @Test func `a file of the first schema is brought to the newest with all it holds`() async throws
  {
    let folder = try TemporaryFolder("store")
    let path = folder.path + "/ledger.sqlite"
    let suite = ConformanceSuite { SQLiteBackend(path: path) }
    let store = try await suite.open()
    let price = try #require(Price(promptPerMillion: 1_000_000, completionPerMillion: 2_000_000))
    try await store.apply(.changePrice(.fallback(price)))
    try await store.apply(.deposit(key: "d", suite.user, Micros(1_000_000)))
    for number in UInt64(1)...5 {
      try await store.apply(.reserve(suite.reservation(number)))
      try await store.settle(suite.facts(number, 100))
    }
    try await store.apply(.reserve(suite.reservation(6)))
    let day = Int32(suite.clock.unixTime().seconds / 86400)
    let period = UnixTime(0)..<(suite.clock.unixTime() + 1)
    let before = try await store.summary(of: suite.user, days: day...day)
    let lines = try await store.statement(of: suite.user, in: period).lines
    await store.close()
    let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])"
    let change = ["/usr/bin/env", "python3", "-c", script, path, Self.toFirstSchema]
    #expect(ChildProcess.run(change) == 0)

    let again = try await suite.open()
    #expect(try await again.summary(of: suite.user, days: day...day) == before)
    #expect(try await again.statement(of: suite.user, in: period).lines == lines)
    try await again.apply(.grant(key: "g", suite.user, Micros(1)))
    try await again.settle(suite.facts(6, 100))
    #expect(try await again.statement(of: suite.user, in: period).lines.count == lines.count + 2)
    await again.close()
    #expect(try await suite.backend().verify().findings == [])
  }

  /// Undoes the later migrations: a file as the first version of the program wrote it.
  private static let toFirstSchema = """
    CREATE TABLE account_entries(account TEXT NOT NULL, sequence INTEGER NOT NULL,
      PRIMARY KEY(account, sequence)) WITHOUT ROWID;
    INSERT INTO account_entries SELECT account, sequence FROM account_tail;
    INSERT INTO account_entries SELECT account, sequence FROM account_movements;
    INSERT INTO account_entries SELECT 'user', sequence FROM entries WHERE kind = 3;
    DROP TABLE account_tail; DROP TABLE account_movements; DROP TABLE account_runs;
    DROP TABLE proofs;
    CREATE TABLE answers(id BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    INSERT INTO answers SELECT number, body FROM open_answers; DROP TABLE open_answers;
    CREATE INDEX entries_by_time ON entries(time);
    PRAGMA user_version = 1;
    """

  @Test func `settlements sorted by account and not yet sorted are all in a statement`()
    async throws
  {
    let folder = try TemporaryFolder("store")
    let path = folder.path + "/ledger.sqlite"
    let suite = ConformanceSuite { SQLiteBackend(path: path) }
    let store = try await suite.open()
    try await store.apply(.deposit(key: "d", suite.user, Micros(1_000_000)))
    var last: LedgerStore.Ticket?
    let count = 20_000
    for number in 1...UInt64(count) {
      _ = try store.submit(.reserve(suite.reservation(number)))
      last = try store.submitSettling(suite.facts(number, 1))
      if number % 1000 == 0, let last { try await store.durable(last) }
    }
    if let last { try await store.durable(last) }
    let period = UnixTime(0)..<(suite.clock.unixTime() + 1)
    for account in [suite.user, suite.owner] {
      let lines = try await store.statement(of: account, in: period).lines
      #expect(lines.filter { $0.kind == .settle }.count == count)
      #expect(zip(lines, lines.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
      var paged: [StatementLine] = []
      while true {
        let page = try await store.statement(
          of: account, in: period, after: paged.last?.sequence ?? 0, limit: 3000
        ).lines
        paged += page
        if page.isEmpty { break }
      }
      #expect(paged == lines)
    }
    await store.close()
  }

  @Test func `a model's name stands in a statement, unless it is a formula or moves a cursor`() {
    let model = ModelID(digest(1))
    let key = UsageKey(day: 0, account: account("user"), role: .user, node: nil, model: model)
    let summary = StatementSummary(account("user"), usage: [key: Usage()], movements: [])
    for (name, csv, json) in [
      ("test:q8", ",test:q8\r\n", "\"model_name\":\"test:q8\"}"),
      ("a,\"b\\", ",\"a,\"\"b\\\"\r\n", "\"model_name\":\"a,\\\"b\\\\\"}"),
    ] {
      #expect(summary.csv(names: [model: name]).hasSuffix(csv))
      #expect(summary.json(names: [model: name]).contains(json))
    }
    for name in ["", "=1+1", "-1", " =1", "a\nb", "a\u{1b}[2J", "a\u{85}"] {
      #expect(summary.csv(names: [model: name]) == summary.csv())
      #expect(summary.json(names: [model: name]) == summary.json())
    }
  }

  @Test func `a quote in a payout's destination ends no field, whatever joins it`() {
    let payout = Payout(
      id: 1, account: account("owner"), amount: Micros(5), destination: "a\"\u{301},b",
      requestedAt: UnixTime(7))
    let text = ManualRail.export([payout])
    #expect(text.unicodeScalars.filter { $0 == "\"" }.count == 4)
  }

  @Test func `payouts are handed to a rail and recorded`() async throws {
    struct Rail: PayoutRail {
      func send(_ payout: Payout) async throws -> PayoutResult {
        payout.destination == "good" ? .sent(reference: "r1") : .refused(reason: "no such bank")
      }
    }
    let backend = MemoryBackend()
    let suite = ConformanceSuite { backend }
    let store = try await suite.open()
    let price = try #require(
      Price(promptPerMillion: 1_000_000_000, completionPerMillion: 1_000_000_000))
    try await store.apply(.changePrice(.fallback(price)))
    try await store.apply(.deposit(key: "d", suite.user, Micros(100_000_000)))
    try await store.apply(.reserve(suite.reservation(1)))
    try await store.settle(suite.facts(1, 1000))
    let earned = store.balance(of: suite.owner).earned
    #expect(earned == Micros(1_900_000))
    await #expect(throws: LedgerError.insufficientEarnings) {
      try await store.apply(
        .requestPayout(key: "p0", suite.owner, earned + Micros(1), destination: "good"))
    }
    try await store.apply(
      .requestPayout(key: "p1", suite.owner, Micros(1_000_000), destination: "bad"))
    #expect(ManualRail.export(store.read { Array($0.payouts.values) }).contains("\"bad\""))
    try await store.runPayouts(ManualRail())
    #expect(store.balance(of: suite.owner).payout == Micros(1_000_000))
    try await store.runPayouts(Rail())
    #expect(store.balance(of: suite.owner).earned == earned)
    try await store.apply(
      .requestPayout(key: "p2", suite.owner, Micros(1_500_000), destination: "good"))
    try await store.runPayouts(Rail())
    #expect(store.balance(of: suite.owner).total == earned - Micros(1_500_000))
    #expect(store.balance(of: SystemAccount.cash.id).credit == Micros(-98_500_000))
    #expect(try await backend.payouts(of: suite.owner, limit: 10).count == 2)
    #expect(try await backend.verify().findings == [])
  }
}
