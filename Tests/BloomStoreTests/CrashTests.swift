import BloomBase
import BloomLedger
import BloomStore
import BloomStorePostgres
import BloomTestSupport
import BloomTestTraits
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Kills a settling process, or its database server, at random points and reads what is left.
@Suite(.ownThread, .serialized) struct CrashTests {
  static let isDeep = unsafe getenv("DARKBLOOM_DEEP") != nil

  @Test func `a killed process loses nothing acknowledged and pays nothing twice`() async throws {
    let folder = try TemporaryFolder("crash")
    var path = folder.path + "/ledger.sqlite"
    var witness = Witness(seed: 7)
    for round in 0..<(Self.isDeep ? 3000 : 20) {
      let log = folder.path + "/log"
      unsafe unlink(log)
      // A ledger of thousands of lives is read longer at each start than the child then lives.
      if round > 0, round.isMultiple(of: 100) {
        path = folder.path + "/ledger-\(round).sqlite"
        witness.forget()
      }
      let child = try ChildProcess.start(
        product: "ledger-crash", [path, "\(round + 1)"], output: log)
      witness.pause(until: log)
      child.kill()
      witness.read(log, mayFail: false)
      if Self.isDeep, round % 20 != 19 { continue }
      try await witness.check(SQLiteBackend(path: path))
    }
    #expect(witness.acknowledged.count > 100, "the child hardly ran")
    try await witness.check(SQLiteBackend(path: path))
  }

  @Test func `a killed client or server loses nothing acknowledged on postgresql`() async throws {
    var server = try PrivatePostgres()
    let folder = try TemporaryFolder("crash")
    var witness = Witness(seed: 8)
    for round in 0..<(Self.isDeep ? 1000 : 6) {
      let log = folder.path + "/log"
      unsafe unlink(log)
      if round > 0, round.isMultiple(of: 100) {
        server = try PrivatePostgres()
        witness.forget()
      }
      let child = try ChildProcess.start(
        product: "ledger-crash", ["postgres:\(server.settings)", "\(round + 1)"], output: log)
      witness.pause(until: log)
      let killsServer = round % 3 == 2
      if killsServer {
        try server.kill()
        // It says that the server is gone and ends itself; what it began meanwhile may be kept.
        child.wait()
        try server.start()
      } else {
        child.kill()
      }
      witness.read(log, mayFail: killsServer)
      if Self.isDeep, round % 50 != 49 { continue }
      try await witness.check(try await Self.takenOver(server))
    }
    #expect(witness.acknowledged.count > 100, "the child hardly ran")
    try await witness.check(try await Self.takenOver(server))
  }
}

extension CrashTests {
  /// The killed client's transaction may still be committing on the server: taking the ledger over,
  /// as a restarted coordinator does, waits for it or has it fail.
  private static func takenOver(_ server: PrivatePostgres) async throws -> PostgresBackend {
    let backend = PostgresBackend(server.settings)
    try await backend.takeOver()
    return backend
  }
}

/// What children said was durable.
private struct Witness {
  private(set) var acknowledged: [AnswerID: (sequence: Int64, paid: Int64)] = [:]
  private var generator: SeededGenerator

  init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  /// Waits for a random moment: while the child opens the store, or after it said something.
  ///
  /// Counted in what it said, so that slow machines and sanitizers see the same moments.
  mutating func pause(until log: String) {
    if generator.next() % 5 > 0 {
      let wanted = Int(generator.next() % 2000)
      for _ in 0..<5000 where sizeOfFile(log) <= wanted { usleep(1000) }
    }
    usleep(UInt32(generator.next() % 30_000))
  }

  /// What follows is another ledger's.
  mutating func forget() { acknowledged = [:] }

  mutating func read(_ log: String, mayFail: Bool) {
    for line in readLines(log) {
      #expect(mayFail || !line.hasPrefix("error"), "\(line)")
      let words = line.split(separator: " ")
      guard words.count == 3, let bytes = Hex.decode(words[0]), let id = AnswerID(bytes),
        let sequence = Int64(words[1]), let paid = Int64(words[2])
      else { continue }
      #expect(acknowledged[id] == nil)
      acknowledged[id] = (sequence, paid)
    }
  }

  func check(_ backend: some StoreBackend) async throws {
    let audit = try await backend.verify()
    #expect(audit.findings == [])
    var settled: [AnswerID: Entry] = [:]
    for entry in try await backend.entries(after: 0, limit: .max) where entry.kind == .settle {
      guard let id = entry.answer else { continue }
      #expect(settled[id] == nil, "answer \(id) is settled twice")
      settled[id] = entry
    }
    for (id, known) in acknowledged {
      #expect(settled[id]?.sequence == known.sequence)
      #expect(settled[id]?.settlement?.gross.rawValue == known.paid)
    }
    await backend.close()
  }
}
