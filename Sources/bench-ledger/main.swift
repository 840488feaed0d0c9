// Settlements per second with full durability, before and after years of entries; balance reads,
// statements, verification. BENCH_ENTRIES: entries of the grown ledger, 1,000,000. BENCH_FOLDER:
// where the files are, which stay there; BENCH_REUSE=1 measures with the grown one again.
internal import BloomBase
internal import BloomBench
internal import BloomLedger
internal import BloomPlatform
internal import BloomStore
internal import BloomStorePostgres
internal import BloomTestSupport

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

let environment = ProcessEnvironment.current
let folder = environment["BENCH_FOLDER"] ?? ".build/bench"
BenchReport.makeFolder(folder)
let wanted = Int64(environment["BENCH_ENTRIES"] ?? "") ?? 1_000_000
var rows = [
  BenchRow("fsync of 4 KiB, median", value: syncMilliseconds(folder + "/sync"), unit: "ms")
]

func openFile(_ name: String, keeps: Bool = false) async throws -> (SQLiteBackend, LedgerStore) {
  let path = folder + "/" + name
  if !keeps { for suffix in ["", "-wal", "-shm"] { unsafe unlink(path + suffix) } }
  let backend = SQLiteBackend(path: path)
  let store = try await LedgerStore.open(backend, clock: clock)
  try await setPrices(store)
  return (backend, store)
}

// A month of entries, then new and grown files in turn: both see the same noise. Rounds are long
// enough for the log of a new file to be copied several times too.
let (backend, grown) = try await openFile(
  "ledger.sqlite", keeps: environment["BENCH_REUSE"] == "1")
let known = grown.read { $0.sequence }
let growSeconds = try await grow(grown, to: wanted)
let entries = grown.read { $0.sequence }
// A file from a run before ends in that run's last round, hours from now.
let ahead = max(0, grown.read { $0.time.seconds } - clock.unixTime().seconds)
// Other answers than those the file has from a run before.
let seed = 10 + UInt64(entries)
var freshRates: [Double] = []
var grownRates: [Double] = []
for round in UInt64(0)..<5 {
  // Five hours later: what closed in the rounds before is forgotten, so that both ledgers hold
  // equally much in memory and differ in their history alone.
  clock.goBack(seconds: -ahead - 5 * 3600 * Int64(round))
  let (_, fresh) = try await openFile("fresh.sqlite")
  freshRates.append(try await settlementsPerSecond(fresh, perClient: 200, seed: seed + round))
  await fresh.close()
  grownRates.append(try await settlementsPerSecond(grown, perClient: 200, seed: seed + 10 + round))
}
let fresh = freshRates.median
let after = grownRates.median
rows += [
  BenchRow(
    "SQLite settlements, \(clients) clients", value: fresh, unit: "1/s", target: ">= 10000",
    holds: fresh >= 10_000),
  BenchRow(
    "SQLite settlements after \(entries) entries", value: after, unit: "1/s",
    peer: "an empty file, in turn", ratio: after / fresh,
    target: ">= 10000 and >= 0.9 x (10 million with BENCH_ENTRIES)",
    holds: after >= 10_000 && after >= fresh * 0.9),
  BenchRow(
    "bulk writing of entries", value: Double(max(0, wanted - known)) / growSeconds, unit: "1/s"),
]

let user = account("user-7")
let reads = 1_000_000
let readStart = clock.now()
var sum = Micros.zero
for _ in 0..<reads { sum = grown.balance(of: user).available }
let readMicroseconds = seconds(since: readStart) * 1e6 / Double(reads)
rows.append(
  BenchRow(
    "balance read (\(sum > .zero ? "funded" : "empty"))", value: readMicroseconds, unit: "us",
    target: "<= 5", holds: readMicroseconds <= 5))

let today = Int32(clock.unixTime().seconds / 86400)
let month = UnixTime(Int64(today - 31) * 86400)..<(clock.unixTime() + 1)
let busy = account("owner-0")
let summaryStart = clock.now()
let summary = try await grown.summary(of: busy, days: (today - 31)...today)
let summaryMilliseconds = seconds(since: summaryStart) * 1000
let answers = summary.lines.reduce(0) { $0 + $1.usage.answers }
rows.append(
  BenchRow(
    "statement of a month by day, machine and model: \(answers) answers",
    value: summaryMilliseconds, unit: "ms", target: "<= 50 with >= 100000 answers",
    holds: summaryMilliseconds <= 50 && answers >= 100_000))
let pageStart = clock.now()
let page = try await grown.statement(of: busy, in: month, limit: 5000)
let pageMilliseconds = seconds(since: pageStart) * 1000
rows.append(
  BenchRow(
    "statement of single answers, a page of \(page.lines.count)", value: pageMilliseconds,
    unit: "ms", target: "<= 50", holds: pageMilliseconds <= 50))
let wholeStart = clock.now()
let whole = try await grown.statement(of: busy, in: month, limit: .max)
rows.append(
  BenchRow(
    "statement of single answers, all \(whole.lines.count)",
    value: seconds(since: wholeStart) * 1000, unit: "ms"))
invariant(whole.change == summary.change, "the summary differs from the statement")
await grown.close()

let auditStart = clock.now()
let audit = try await backend.verify()
rows.append(
  BenchRow(
    "verify, \(audit.findings.count) findings",
    value: Double(audit.entryCount) / seconds(since: auditStart), unit: "entries/s",
    target: "0 findings", holds: audit.findings.isEmpty))
await backend.close()

do {
  let server = try PrivatePostgres()
  let store = try await LedgerStore.open(PostgresBackend(server.settings), clock: clock)
  try await setPrices(store)
  var rates: [Double] = []
  for round in UInt64(0)..<3 {
    rates.append(try await settlementsPerSecond(store, perClient: 40, seed: seed + 20 + round))
  }
  await store.close()
  let rate = rates.median
  rows.append(
    BenchRow(
      "PostgreSQL settlements, \(clients) clients", value: rate, unit: "1/s", target: ">= 5000",
      holds: rate >= 5000))
  withExtendedLifetime(server) {}
} catch let error as TestSupportError {
  rows.append(
    BenchRow(
      "PostgreSQL settlements, \(clients) clients", value: .nan, unit: "1/s",
      peer: error.description, target: ">= 5000", holds: false))
}
BenchReport.finish(area: "ledger", rows: rows)
