import BloomBase
import BloomRecords
import BloomWire
import Testing

@testable import BloomWorker

/// What a client that asks for fixed times can bring about in one answer.
@Suite(.timeLimit(.minutes(1))) struct AnswerRunTests {
  private func exchange(isQueueFull: Bool = false) throws -> PlainExchange {
    PlainExchange(
      try chat(), kid: KeyID(1), tokenClass: .upTo64, padding: .steady, isQueueFull: isQueueFull)
  }

  private func answer(_ exchange: PlainExchange, _ gate: CreditGate) throws -> AnswerRun {
    let outbox = try Outbox(descriptor: -1) {
      WorkerEvent.beat(engineAgeMilliseconds: 0, active: 0, queued: 0)
    }
    return AnswerRun(
      StreamID(1), exchange, sampling: .zero, mode: .whole, gate: gate, outbox: outbox,
      time: SystemTime())
  }

  @Test func `a stopped answer whose queue is full ends`() async throws {
    let gate = CreditGate(credit: 1 << 20)
    let run = try answer(try exchange(isQueueFull: true), gate)
    gate.close()
    try await run.fail(SealedFailure(.engine, "stopped"))
    let receipt = try await run.finish(.cancelled, endsAnswer: false)
    #expect(!receipt.isEmpty)
  }

  @Test func `no fixed time follows the last receipt`() async throws {
    let sealed = try exchange()
    let run = try answer(sealed, CreditGate(credit: 1 << 20))
    try await run.tick()
    #expect(sealed.ticks == 1)
    _ = try await run.finish(.stop, endsAnswer: true)
    try await run.tick()
    #expect(sealed.ticks == 1)
  }
}
