import BloomBase
import BloomClient
import BloomCoordinator
import BloomLedger
import BloomRecords
import BloomStore
import BloomWire
import Testing

@Suite(.serialized) struct RestartTests {
  @Test func `a drain that takes too long hands answers over, and a restart takes the next part`()
    async throws
  {
    let backend = MemoryBackend()
    let answer = newAnswer()
    try await withCoordinator(
      [.waits(afterTokens: 5)], backend: backend, configure: { $0.drain = .seconds(1) }
    ) { test, nodes in
      let sealed = try test.seal(answer, to: [nodes[0].machine])
      let asking = Task { try await test.ask(sealed) }
      try await test.until("running") { await nodes[0].producedByteCount > 2_500 }
      test.stop()
      let outcome = try await asking.value
      #expect(outcome.tokens == Array(0..<5))
      #expect(outcome.failures.contains(.draining))
      #expect(!outcome.isFinished)
    }
    try await withCoordinator([.answer(tokens: 3)], backend: backend) { test, nodes in
      let outcome = try await test.ask(test.seal(answer, to: [nodes[0].machine], part: 1))
      #expect(outcome.isFinished)
      // 12 prompt tokens once, 5 and 3 completion tokens.
      #expect(outcome.settled.map(\.cost) == [Micros(12 + 2 * 8)])
      #expect(test.store.balance(of: test.user).reserved == .zero)
    }
  }

  @Test func `no new work is taken while an answer ends`() async throws {
    try await withCoordinator(
      [.waits(afterTokens: 2)], configure: { $0.drain = .seconds(2) }
    ) { test, nodes in
      let first = try test.seal(newAnswer(), to: [nodes[0].machine])
      let second = try test.seal(newAnswer(), to: [nodes[0].machine])
      let asking = Task { try await test.ask(first) }
      try await test.until("running") { await nodes[0].producedByteCount > 1_000 }
      test.stop()
      try await test.until("draining") { await test.service.hub.isDraining }
      await #expect(throws: (any Error).self) { try await test.ask(second) }
      asking.cancel()
      _ = await asking.result
    }
  }

  @Test func `a reservation is durable soon, whoever waits`() async throws {
    let backend = MemoryBackend()
    try await withCoordinator([.waits(afterTokens: 1)], backend: backend) { test, nodes in
      let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
      let asking = Task { try await test.ask(sealed) }
      try await test.until("durable") {
        try await backend.load(now: SystemTime().unixTime()).ledger.answers.count == 1
      }
      asking.cancel()
      _ = await asking.result
    }
  }

  /// What is in the group that the database loses.
  enum Lost: CaseIterable {
    case reservation, lastReceipt, closing

    func isIn(_ changes: StoreChanges) -> Bool {
      switch self {
      case .reservation: changes.ledger.entries.contains { $0.kind == .reserve }
      case .lastReceipt:
        changes.ledger.answers.values.contains { $0?.parts.first?.served?.isFinal == true }
      case .closing: changes.ledger.entries.contains { $0.kind == .settle }
      }
    }
  }

  @Test(arguments: Lost.allCases)
  func `an answer that runs while the database is gone is settled once when it is back`(
    lost: Lost
  ) async throws {
    let backend = MemoryBackend()
    let isDown = Locked(false)
    let gone = StoreError(.unavailable, "test")
    backend.failCommits { changes in
      isDown.withLock { isDown in
        if lost.isIn(changes) { isDown = true }
        return isDown ? gone : nil
      }
    }
    backend.failLoads { isDown.withLock { $0 } ? gone : nil }
    try await withCoordinator([.answer(tokens: 3)], backend: backend) { test, nodes in
      let machines = [nodes[0].machine]
      let sealed = try test.seal(newAnswer(), to: machines)
      let asking = Task { try await test.ask(sealed) }
      try await test.until("an outage") { test.store.trouble != nil }
      try await test.until("all tokens") { await nodes[0].producedByteCount > 1_000 }
      await #expect(throws: CoordinatorClient.Refusal(reason: .draining)) {
        try await test.ask(try test.seal(newAnswer(), to: machines))
      }
      if lost != .closing {
        #expect(await nodes[0].acknowledged.isEmpty, "nothing is acknowledged that is not kept")
      }
      backend.failCommits(nil)
      isDown.withLock { $0 = false }
      let outcome = try await asking.value
      #expect(outcome.isFinished)
      #expect(outcome.settled.map(\.cost) == [Micros(12 + 2 * 3)])
      try await test.until("acknowledged") { await nodes[0].acknowledged.count == 1 }
      try await test.until("closed") {
        let balance = test.store.balance(of: test.user)
        return balance.reserved == .zero && balance.credit < Micros(1_000_000_000)
      }
      #expect(try await backend.verify().findings == [])
    }
  }
}
