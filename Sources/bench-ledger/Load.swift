internal import BloomBase
internal import BloomBench
internal import BloomLedger
internal import BloomPlatform
internal import BloomStore

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Real time, and dates that the growing ledger moves.
final class BenchClock: TimeSource {
  private let past = Locked(Int64(0))
  private let system = SystemTime()
  func now() -> Instant { system.now() }
  func unixTime() -> UnixTime { system.unixTime() + -past.withLock { $0 } }
  /// Counted from the real time; below zero is the future.
  func goBack(seconds: Int64) { past.withLock { $0 = seconds } }
}

let clock = BenchClock()
let model = ModelID(Digest.zero)
/// As large as a signed receipt with its key.
let proof = [UInt8](repeating: 7, count: 600)
let clients = 512
let owners = 64

func account(_ name: String) -> AccountID {
  guard let account = AccountID(name) else { fatalError("bad account name") }
  return account
}

func digest(_ generator: inout SeededGenerator) -> Digest {
  Digest((0..<4).flatMap { _ in KeyID(generator.next()).bytes }) ?? .zero
}

/// An owner and one machine of theirs.
struct Machine: Sendable {
  let owner: AccountID
  let node: NodeID

  init(_ number: Int) {
    owner = account("owner-\(number)")
    var generator = SeededGenerator(seed: UInt64(number))
    node = NodeID(digest(&generator))
  }
}

let machines = (0..<owners).map { Machine($0) }
let users = (0..<clients).map { account("user-\($0)") }

func seconds(since start: Instant) -> Double { (clock.now() - start).inSeconds }

func setPrices(_ store: LedgerStore) async throws {
  let price = Price(promptPerMillion: 200_000, completionPerMillion: 600_000) ?? .free
  try await store.apply(.changePrice(.fallback(price)))
}

func reservation(_ id: AnswerID, _ user: AccountID) -> Reservation {
  Reservation(
    answer: id, payer: user, model: model, kind: .chat, maxPromptTokens: 1000,
    maxCompletionTokens: 1000, deadline: clock.unixTime() + 600)
}

func receipt(
  _ id: AnswerID, _ machine: Machine, _ generator: inout SeededGenerator
) -> ReceiptFacts {
  ReceiptFacts(
    digest: digest(&generator), node: machine.node, owner: machine.owner, model: model, answer: id,
    part: 0, basePromptTokens: 700, replayedTokens: 0, completionTokens: 300, isFinal: true,
    signedAt: clock.unixTime(), proof: proof)
}

func fund(_ store: LedgerStore, _ key: String) async throws {
  var last: LedgerStore.Ticket?
  for user in users {
    last = try store.submit(.grant(key: "\(key)-\(user)", user, Micros(100_000_000_000)))
  }
  if let last { try await store.durable(last) }
}

/// What 512 clients ask for one after another: reservations first, then only settlements timed.
func settlementsPerSecond(
  _ store: LedgerStore, perClient: Int, seed: UInt64
) async throws -> Double {
  try await fund(store, "rate-\(seed)")
  var generator = SeededGenerator(seed: seed)
  var facts = Array(repeating: [ReceiptFacts](), count: clients)
  // In turns, as clients that work side by side ask.
  for _ in 0..<perClient {
    var last: LedgerStore.Ticket?
    for client in 0..<clients {
      let id = AnswerID(using: &generator)
      last = try store.submit(.reserve(reservation(id, users[client])))
      facts[client].append(receipt(id, machines[client % owners], &generator))
    }
    if let last { try await store.durable(last) }
  }
  let start = clock.now()
  try await withThrowingTaskGroup(of: Void.self) { group in
    for mine in facts {
      group.addTask {
        for fact in mine {
          _ = try store.submit(.receipt(fact))
          try await store.apply(.close(fact.answer))
        }
      }
    }
    try await group.waitForAll()
  }
  return Double(clients * perClient) / seconds(since: start)
}

/// Fills a ledger with a month of settled answers, in large groups; a quarter is one owner's.
///
/// - Returns: The seconds it took.
func grow(_ store: LedgerStore, to wanted: Int64) async throws -> Double {
  let start = clock.now()
  let span: Int64 = 30 * 86400
  let first = store.read { $0.sequence }
  guard first < wanted else { return 1 }
  clock.goBack(seconds: span)
  try await fund(store, "month")
  var generator = SeededGenerator(seed: 1)
  while true {
    let done = store.read { $0.sequence }
    guard done < wanted else { break }
    clock.goBack(seconds: span - span * (done - first) / max(1, wanted - first))
    var last: LedgerStore.Ticket?
    for _ in 0..<min(10_000, (wanted - done + 1) / 2) {
      let draw = Int(generator.next() >> 33)
      let id = AnswerID(using: &generator)
      let machine = machines[draw % 4 == 0 ? 0 : draw / 4 % owners]
      _ = try store.submit(.reserve(reservation(id, users[draw / 1024 % clients])))
      _ = try store.submit(.receipt(receipt(id, machine, &generator)))
      last = try store.submit(.close(id))
    }
    if let last { try await store.durable(last) }
  }
  clock.goBack(seconds: 0)
  return seconds(since: start)
}

/// The median time of an append and fsync(2) of one page in the same folder.
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
  return times.median
}
