import BloomBase
import BloomLedger
import BloomStore

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

func sizeOfFile(_ path: String) -> Int {
  var facts = stat()
  return unsafe stat(path, &facts) == 0 ? Int(facts.st_size) : 0
}

func readLines(_ path: String) -> [Substring] {
  guard let file = unsafe fopen(path, "r") else { return [] }
  defer { unsafe fclose(file) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65536)
  while true {
    let count = unsafe fread(&chunk, 1, chunk.count, file)
    guard count > 0 else { break }
    bytes += chunk[..<count]
  }
  return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
}

/// A clock that tests move.
final class TestClock: TimeSource {
  private let seconds = Locked(Int64(1_800_000_000))
  func now() -> Instant { Instant(nanoseconds: UInt64(unixTime().seconds) * 1_000_000_000) }
  func unixTime() -> UnixTime { UnixTime(seconds.withLock { $0 }) }
  func advance(_ count: Int64) { seconds.withLock { $0 += count } }
}

func account(_ name: String) -> AccountID {
  guard let account = AccountID(name) else { fatalError("bad account name \(name)") }
  return account
}

func digest(_ number: UInt64) -> Digest {
  var generator = SeededGenerator(seed: number)
  guard let digest = Digest((0..<4).flatMap { _ in KeyID(generator.next()).bytes }) else {
    fatalError("32 bytes are a digest")
  }
  return digest
}

func answer(_ number: UInt64) -> AnswerID {
  var generator = SeededGenerator(seed: number)
  return AnswerID(using: &generator)
}

extension LedgerStore {
  /// Books an answer's last receipt and closes it.
  @discardableResult
  func settle(_ facts: ReceiptFacts) async throws -> LedgerOutcome {
    try await durable(try submitSettling(facts))
  }

  /// The same without waiting until it is durable.
  func submitSettling(_ facts: ReceiptFacts) throws -> Ticket {
    _ = try submit(.receipt(facts))
    return try submit(.close(facts.answer))
  }
}
