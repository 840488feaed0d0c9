import BloomBase
import BloomLedger
import BloomStore
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Kills a settling process at random points and reads what is left.
@Suite(.serialized) struct CrashTests {
  static let isDeep = unsafe getenv("DARKBLOOM_DEEP") != nil

  @Test func `a killed process loses nothing acknowledged and pays nothing twice`() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/ledger.sqlite"
    var generator = SeededGenerator(seed: 7)
    var acknowledged: [AnswerID: (sequence: Int64, paid: Int64)] = [:]
    for round in 0..<(Self.isDeep ? 3000 : 30) {
      let log = folder.path + "/log"
      unsafe unlink(log)
      let child = try Child.start(
        "ledger-crash", [path, "\(round + 1)"], output: log)
      usleep(UInt32(20_000 + generator.next() % 120_000))
      child.kill()
      for line in readLines(log) {
        #expect(!line.hasPrefix("error"), "\(line)")
        let words = line.split(separator: " ")
        guard words.count == 3, let bytes = Hex.decode(words[0]), let id = AnswerID(bytes),
          let sequence = Int64(words[1]), let paid = Int64(words[2])
        else { continue }
        #expect(acknowledged[id] == nil)
        acknowledged[id] = (sequence, paid)
      }
      // Reading all entries of thousands of rounds each time would take hours.
      if Self.isDeep, round % 100 != 99 { continue }
      try await check(path, acknowledged)
    }
    #expect(acknowledged.count > 100, "the child hardly ran")
    try await check(path, acknowledged)
  }

  private func check(
    _ path: String, _ acknowledged: [AnswerID: (sequence: Int64, paid: Int64)]
  ) async throws {
    let backend = SQLiteBackend(path: path)
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
