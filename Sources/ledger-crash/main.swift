// Settles answers until it is killed, and says on standard output which are durable.
// Arguments: database, seed. The database is a file, or `postgres:` and libpq's settings.
// The crash test reads what it said and verifies the database.
internal import BloomBase
internal import BloomLedger
internal import BloomStore
internal import BloomStorePostgres

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

func say(_ line: String) {
  // One write(2): a line is there whole or not at all.
  let bytes = Array((line + "\n").utf8)
  _ = unsafe write(1, bytes, bytes.count)
}

func account(_ name: String) -> AccountID {
  guard let account = AccountID(name) else { fatalError("bad account name") }
  return account
}

let arguments = CommandLine.arguments
guard arguments.count == 3, let seed = UInt64(arguments[2]) else {
  fatalError("usage: ledger-crash FILE|postgres:SETTINGS SEED")
}
let place = arguments[1]
let backend: any StoreBackend =
  place.hasPrefix("postgres:")
  ? PostgresBackend(String(place.dropFirst("postgres:".count))) : SQLiteBackend(path: place)
let store = try await LedgerStore.open(backend, clock: SystemTime())
let model = ModelID(Digest.zero)
try await store.apply(
  .changePrice(
    .fallback(Price(promptPerMillion: 1_000_000, completionPerMillion: 2_000_000) ?? .free)))
say("open")
await withTaskGroup(of: Void.self) { group in
  for worker in 0..<8 {
    group.addTask {
      var generator = SeededGenerator(seed: seed &* 31 &+ UInt64(worker))
      let user = account("user-\(worker)")
      let owner = account("owner-\(worker)")
      while true {
        let id = AnswerID(using: &generator)
        let digest = (0..<4).flatMap { _ in KeyID(generator.next()).bytes }
        do {
          let now = SystemTime().unixTime()
          try await store.apply(.deposit(key: "\(id)", user, Micros(10_000)))
          try await store.apply(
            .reserve(
              Reservation(
                answer: id, payer: user, model: model, kind: .chat, maxPromptTokens: 100,
                maxCompletionTokens: 1000, deadline: now + 60)))
          _ = try store.submit(
            .receipt(
              ReceiptFacts(
                digest: Digest(digest) ?? .zero, node: NodeID(Digest.zero), owner: owner,
                model: model, answer: id, part: 0, basePromptTokens: 100, replayedTokens: 0,
                completionTokens: Int(generator.next() % 1000), isFinal: true, signedAt: now)))
          let outcome = try await store.apply(.close(id))
          if case .settled(let sequence, let paid, _) = outcome {
            say("\(id) \(sequence) \(paid.rawValue)")
          }
        } catch {
          say("error \(error.safeDescription)")
          exit(1)
        }
      }
    }
  }
}
