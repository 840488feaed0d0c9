// Settlements per second with full durability, balance reads and statements.
// BENCH_POSTGRES: settings of a server to measure. BENCH_ENTRIES: entries written before, 200000.
internal import BloomBase
internal import BloomBench
internal import BloomLedger
internal import BloomPlatform
internal import BloomStore
internal import BloomStorePostgres

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

func environment(_ name: String) -> String? {
  guard let value = unsafe getenv(name) else { return nil }
  return unsafe String(cString: value)
}

func account(_ name: String) -> AccountID {
  guard let account = AccountID(name) else { fatalError("bad account name") }
  return account
}

func digest(_ generator: inout SeededGenerator) -> Digest {
  Digest((0..<4).flatMap { _ in KeyID(generator.next()).bytes }) ?? .zero
}

let clock = SystemTime()
let model = ModelID(Digest.zero)
let clients = 512

/// What 512 clients ask for one after another: reservations first, then only settlements timed.
func settlementsPerSecond(_ store: LedgerStore, perClient: Int, seed: UInt64) async throws -> Double
{
  var generator = SeededGenerator(seed: seed)
  var facts: [[ReceiptFacts]] = []
  var last: LedgerStore.Ticket?
  for client in 0..<clients {
    let user = account("user-\(client)")
    _ = try store.submit(.grant(key: "\(seed)-\(client)", user, Micros(1_000_000_000)))
    var nodes = SeededGenerator(seed: UInt64(client % 64))
    let node = NodeID(digest(&nodes))
    var mine: [ReceiptFacts] = []
    for _ in 0..<perClient {
      let id = AnswerID(using: &generator)
      last = try store.submit(
        .reserve(
          Reservation(
            answer: id, payer: user, model: model, kind: .chat, maxPromptTokens: 1000,
            maxCompletionTokens: 1000, deadline: clock.unixTime() + 600)))
      mine.append(
        ReceiptFacts(
          digest: digest(&generator), node: node,
          owner: account("owner-\(client % 64)"), model: model, answer: id, part: 0,
          basePromptTokens: 700, replayedTokens: 0, completionTokens: 300, isFinal: true,
          signedAt: clock.unixTime()))
    }
    facts.append(mine)
    if client % 64 == 63, let last { try await store.durable(last) }
  }
  let start = clock.now()
  try await withThrowingTaskGroup(of: Void.self) { group in
    for mine in facts {
      group.addTask { for fact in mine { try await store.apply(.settle(fact)) } }
    }
    try await group.waitForAll()
  }
  return Double(clients * perClient) / seconds(since: start)
}

func seconds(since start: Instant) -> Double {
  Double((clock.now() - start).wholeNanoseconds) / 1e9
}

/// The median time of an append and fdatasync(2) of one page in the same folder.
func syncMilliseconds(_ path: String) -> Double {
  let file = unsafe open(path, O_WRONLY | O_CREAT, 0o600)
  defer {
    close(file)
    unsafe unlink(path)
  }
  let page = [UInt8](repeating: 1, count: 4096)
  let times = (0..<50).map { _ in
    let start = clock.now()
    _ = unsafe write(file, page, page.count)
    fsync(file)
    return seconds(since: start) * 1000
  }
  return times.sorted()[25]
}

func prices(_ store: LedgerStore) async throws {
  let price = Price(promptPerMillion: 200_000, completionPerMillion: 600_000) ?? .free
  try await store.apply(.changePrice(.fallback(price)))
}

let folder = environment("BENCH_FOLDER") ?? ".build/bench"
unsafe mkdir(folder, 0o755)
let path = folder + "/ledger.sqlite"
for suffix in ["", "-wal", "-shm"] { unsafe unlink(path + suffix) }
var rows = [
  BenchRow("fsync of 4 KiB, median", value: syncMilliseconds(folder + "/sync"), unit: "ms")
]

let backend = SQLiteBackend(path: path)
let store = try await LedgerStore.open(backend, clock: clock)
try await prices(store)
let fresh = try await settlementsPerSecond(store, perClient: 60, seed: 1)
rows.append(
  BenchRow(
    "SQLite settlements, \(clients) clients", value: fresh, unit: "1/s", target: ">= 10000",
    holds: fresh >= 10_000))

// Entries to grow the file: written by the same code, in large groups.
let wanted = Int64(environment("BENCH_ENTRIES") ?? "200000") ?? 200_000
var round: UInt64 = 100
while store.read({ $0.sequence }) < wanted {
  _ = try await settlementsPerSecond(store, perClient: 100, seed: round)
  round += 1
}
let grown = try await settlementsPerSecond(store, perClient: 60, seed: 2)
let entries = store.read { $0.sequence }
rows.append(
  BenchRow(
    "SQLite settlements after \(entries) entries", value: grown, unit: "1/s",
    peer: "the same, empty file", ratio: grown / fresh, target: ">= 0.8 x at 10 million",
    holds: entries >= 10_000_000 ? grown >= fresh * 0.8 : nil))

let user = account("user-7")
let reads = 1_000_000
let readStart = clock.now()
var sum = Micros.zero
for _ in 0..<reads { sum = store.balance(of: user).available }
let readMicroseconds = seconds(since: readStart) * 1e6 / Double(reads)
rows.append(
  BenchRow(
    "balance read (\(sum > .zero ? "funded" : "empty"))", value: readMicroseconds, unit: "us",
    target: "<= 5", holds: readMicroseconds <= 5))

let now = clock.unixTime()
_ = try await store.statement(of: user, in: (now + -30 * 86400)..<now, limit: 10)
let statementStart = clock.now()
let statement = try await store.statement(of: user, in: (now + -30 * 86400)..<(now + 1))
let statementMilliseconds = seconds(since: statementStart) * 1000
rows.append(
  BenchRow(
    "statement of a month, \(statement.lines.count) lines", value: statementMilliseconds,
    unit: "ms", target: "<= 50", holds: statementMilliseconds <= 50))
await store.close()

let auditStart = clock.now()
let audit = try await backend.verify()
rows.append(
  BenchRow(
    "verify, \(audit.findings.count) findings",
    value: Double(audit.entryCount)
      / seconds(since: auditStart), unit: "entries/s", target: "0 findings",
    holds: audit.findings.isEmpty))

if let settings = environment("BENCH_POSTGRES") {
  let postgres = try await LedgerStore.open(PostgresBackend(settings), clock: clock)
  try await prices(postgres)
  let rate = try await settlementsPerSecond(postgres, perClient: 40, seed: 3)
  rows.append(
    BenchRow(
      "PostgreSQL settlements, \(clients) clients", value: rate, unit: "1/s",
      target: ">= 5000", holds: rate >= 5000))
  await postgres.close()
} else {
  rows.append(
    BenchRow(
      "PostgreSQL settlements", value: 0, unit: "1/s", peer: "BENCH_POSTGRES is not set",
      target: ">= 5000", holds: false))
}
BenchReport.finish(area: "ledger", rows: rows)
