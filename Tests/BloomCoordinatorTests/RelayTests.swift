import BloomBase
import BloomClient
import BloomCoordinator
import BloomCrypto
import BloomLedger
import BloomNet
import BloomRecords
import BloomSeal
import BloomStore
import BloomWire
import Testing

@Suite(.serialized) struct RelayTests {
  @Test func `a sealed answer arrives whole and is paid by its last receipt`() async throws {
    try await withCoordinator([.answer(tokens: 20)]) { test, nodes in
      let answer = newAnswer()
      let outcome = try await test.ask(try test.seal(answer, to: [nodes[0].machine]))
      #expect(outcome.tokens == Array(0..<20))
      #expect(outcome.isFinished)
      #expect(outcome.accepted == [nodes[0].machine.node])
      // 12 prompt tokens at 1 and 20 completion tokens at 2 micros.
      #expect(outcome.settled.map(\.cost) == [Micros(52)])
      #expect(outcome.settled.first?.digest == outcome.receipt?.digest)
      #expect(test.store.balance(of: test.owner).earned == Micros(50))
      #expect(test.store.balance(of: test.user).reserved == .zero)
      try await test.until("acknowledged") {
        await nodes[0].acknowledged == outcome.settled.map(\.digest)
      }
    }
  }

  @Test func `the user hears what the scheduler thought of each machine`() async throws {
    try await withCoordinator([.answer(tokens: 2), .answer(tokens: 2)]) { test, nodes in
      let machines = [nodes[0].machine, nodes[1].machine]
      let reply = try await test.client.post(try test.seal(newAnswer(), to: machines).envelope)
      var decoder = OuterRecordDecoder()
      var took: NodeID?
      for try await bytes in reply.body {
        decoder.append(bytes)
        while let item = try decoder.next() {
          if case .accepted(let node) = item.record { took = node }
        }
      }
      let verdicts = try #require(reply.placement).split(separator: ";").map {
        $0.split(separator: " ").map(String.init)
      }
      #expect(verdicts.map(\.first) == machines.map(\.node.digest.hex))
      for (verdict, machine) in zip(verdicts, machines) {
        #expect(verdict[1] == (machine.node == took ? "chosen" : "costlier"))
        #expect(
          verdict.dropFirst(2).map { $0.prefix { $0 != "=" } }
            == ["wait", "first", "decode", "kept", "cost", "score"])
      }
    }
  }

  @Test func `an account that cannot pay the worst case is refused`() async throws {
    try await withCoordinator([.answer(tokens: 1)], credit: 100) { test, nodes in
      let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
      await #expect(throws: CoordinatorClient.Refusal(reason: .noCredit)) {
        try await test.ask(sealed)
      }
      #expect(await test.service.hub.relayCount == 0)
    }
  }

  @Test(arguments: [nil, "db-AAAA", "db-" + String(repeating: "A", count: 43)])
  func `a missing or unknown key is refused`(key: String?) async throws {
    try await withCoordinator([]) { test, _ in
      let sealed = try test.seal(newAnswer(), to: [try Machine()])
      await #expect(throws: CoordinatorClient.Refusal(reason: .unauthorized)) {
        try await test.ask(sealed, using: test.client(key: key))
      }
    }
  }

  @Test func `an envelope to machines that are not here sends the client to the directory`()
    async throws
  {
    try await withCoordinator([.answer(tokens: 1)]) { test, nodes in
      let answer = newAnswer()
      let sealed = try test.seal(answer, to: [try Machine(seed: 99)])
      await #expect(throws: CoordinatorClient.Refusal(reason: .staleKey)) {
        try await test.ask(sealed)
      }
      // The same part to a machine that is here: nothing was lost by the refusal.
      let outcome = try await test.ask(try test.seal(answer, to: [nodes[0].machine]))
      #expect(outcome.isFinished)
    }
  }

  @Test func `a running or finished part is not taken twice`() async throws {
    try await withCoordinator([.answer(tokens: 2)]) { test, nodes in
      let answer = newAnswer()
      #expect(try await test.ask(try test.seal(answer, to: [nodes[0].machine])).isFinished)
      let again = try test.seal(answer, to: [nodes[0].machine])
      await #expect(throws: CoordinatorClient.Refusal.self) { try await test.ask(again) }
      #expect(test.store.balance(of: test.owner).earned > .zero)
    }
  }

  @Test func `a second part is refused while nothing has failed`() async throws {
    try await withCoordinator([.waits(afterTokens: 2)]) { test, nodes in
      let answer = newAnswer()
      let first = try test.seal(answer, to: [nodes[0].machine])
      let asking = Task { try await test.ask(first) }
      try await test.until("running") { await nodes[0].producedByteCount > 1_000 }
      let sealed = try test.seal(answer, to: [nodes[0].machine], part: 1)
      await #expect(throws: CoordinatorClient.Refusal(reason: .partNotAllowed)) {
        try await test.ask(sealed)
      }
      asking.cancel()
      _ = await asking.result
    }
  }

  @Test func `a part of an answer that nobody knows is sent back to begin anew`() async throws {
    try await withCoordinator([.answer(tokens: 2)]) { test, nodes in
      let sealed = try test.seal(newAnswer(), to: [nodes[0].machine], part: 1)
      await #expect(throws: CoordinatorClient.Refusal(reason: .answerUnknown)) {
        try await test.ask(sealed)
      }
    }
  }

  @Test func `an answer whose end its gateway did not get goes on, whatever its machine says`()
    async throws
  {
    try await withCoordinator([.endsAlone(afterTokens: 5), .answer(tokens: 3)]) { test, nodes in
      let answer = newAnswer()
      let first = try await test.ask(try test.seal(answer, to: [nodes[0].machine]))
      #expect(!first.isFinished)
      #expect(first.failures.contains(.nodeLost))
      try await withThrowingTaskGroup { group in
        // Back again, it hands in the receipt of the whole answer.
        try await test.join(nodes[0], &group)
        try await test.until("acknowledged") { await nodes[0].acknowledged.count == 1 }
        let second = try await test.ask(try test.seal(answer, to: [nodes[1].machine], part: 1))
        #expect(second.isFinished)
        #expect(second.settled.map(\.cost) == [Micros(12 + 2 * 8)])
        group.cancelAll()
      }
      #expect(test.store.balance(of: test.user).reserved == .zero)
    }
  }

  @Test func `an answer whose end was lost on the way to its gateway goes on and is paid once`()
    async throws
  {
    try await withCoordinator([.answer(tokens: 20), .answer(tokens: 3)]) { test, nodes in
      let answer = newAnswer()
      let first = try await test.ask(
        try test.seal(answer, to: [nodes[0].machine]), acknowledging: false)
      #expect(first.isFinished)
      #expect(test.store.balance(of: test.user).reserved > .zero)
      let second = try await test.ask(try test.seal(answer, to: [nodes[1].machine], part: 1))
      #expect(second.isFinished)
      // The tokens of the second part are among those of the first.
      #expect(second.settled.map(\.cost) == [Micros(52)])
      #expect(test.store.balance(of: test.user).reserved == .zero)
      let third = try test.seal(answer, to: [nodes[0].machine], part: 2)
      await #expect(throws: CoordinatorClient.Refusal(reason: .answerClosed)) {
        try await test.ask(third)
      }
    }
  }

  @Test func `a part whose gateway hung up may be followed`() async throws {
    try await withCoordinator([.waits(afterTokens: 2), .answer(tokens: 3)]) { test, nodes in
      let answer = newAnswer()
      let first = try test.seal(answer, to: [nodes[0].machine])
      let asking = Task { try await test.ask(first) }
      try await test.until("running") { await nodes[0].producedByteCount > 1_000 }
      asking.cancel()
      _ = await asking.result
      try await test.until("over") { await test.service.hub.relayCount == 0 }
      let second = try await test.ask(try test.seal(answer, to: [nodes[1].machine], part: 1))
      #expect(second.isFinished)
    }
  }

  @Test func `a gateway that keeps asking for the next part has lost the one that is well`()
    async throws
  {
    try await withCoordinator([.waits(afterTokens: 2), .answer(tokens: 3)]) { test, nodes in
      let answer = newAnswer()
      let first = try test.seal(answer, to: [nodes[0].machine])
      let asking = Task { try await test.ask(first) }
      try await test.until("running") { await nodes[0].producedByteCount > 1_000 }
      var second: Outcome?
      try await test.until("let go") {
        do {
          second = try await test.ask(try test.seal(answer, to: [nodes[1].machine], part: 1))
        } catch let refusal as CoordinatorClient.Refusal {
          #expect(refusal.reason == .partNotAllowed)
        }
        return second != nil
      }
      #expect(second?.isFinished == true)
      // The first is told to stop, and its gateway's connection ends.
      #expect(try await asking.value.isFinished == false)
    }
  }

  @Test func `what waits for a gateway's word is there for its account's next answer`()
    async throws
  {
    try await withCoordinator([.answer(tokens: 1)], credit: 20_000) { test, nodes in
      for _ in 0..<5 {
        let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
        #expect(try await test.ask(sealed, acknowledging: false).isFinished)
      }
      let balance = test.store.balance(of: test.user)
      #expect(balance.reserved > .zero)
      #expect(balance.available < balance.reserved, "there is money for two without it")
    }
  }

  @Test func `a machine that breaks is paid for what it delivered and the next part goes on`()
    async throws
  {
    try await withCoordinator([.breaks(afterTokens: 5), .answer(tokens: 3)]) { test, nodes in
      let answer = newAnswer()
      let first = try await test.ask(try test.seal(answer, to: [nodes[0].machine]))
      #expect(first.tokens == Array(0..<5))
      #expect(!first.isFinished)
      #expect(first.failures.contains(.nodeLost))
      let second = try await test.ask(try test.seal(answer, to: [nodes[1].machine], part: 1))
      #expect(second.isFinished)
      // 12 prompt tokens once, 5 and 3 completion tokens.
      #expect(second.settled.map(\.cost) == [Micros(12 + 2 * 8)])
    }
  }

  @Test func `a receipt for each token is one check a second, not one a token`() async throws {
    try await withCoordinator([.answer(tokens: 150)]) { test, nodes in
      let outcome = try await test.ask(try test.seal(newAnswer(), to: [nodes[0].machine]))
      #expect(outcome.isFinished)
      let response = try await test.http.send(try .get("http://coordinator/metrics"))
      let text = String(decoding: try await response.body.collect(upTo: 1 << 20), as: UTF8.self)
      let line = text.split(separator: "\n").first {
        $0.hasPrefix(#"darkbloom_receipts_total{outcome="noted"} "#)
      }
      let noted = try #require(line?.split(separator: " ").last.flatMap { Int($0) })
      #expect((1..<75).contains(noted))
    }
  }

  @Test func `a silent machine fails its part and the client hears of it`() async throws {
    try await withCoordinator([.silent, .answer(tokens: 2)]) { test, nodes in
      let answer = newAnswer()
      let first = try await test.ask(try test.seal(answer, to: [nodes[0].machine]))
      #expect(!first.isFinished)
      #expect(!first.failures.isEmpty)
      let second = try await test.ask(try test.seal(answer, to: [nodes[1].machine], part: 1))
      #expect(second.isFinished)
    }
  }

  @Test func `bytes that are no answer are neither forwarded nor paid`() async throws {
    try await withCoordinator([.garbage]) { test, nodes in
      let outcome = try await test.ask(try test.seal(newAnswer(), to: [nodes[0].machine]))
      #expect(outcome.tokens.isEmpty)
      #expect(outcome.settled.isEmpty)
      #expect(test.store.balance(of: test.owner).earned == .zero)
    }
  }

  @Test func `a receipt with a bad signature is not paid`() async throws {
    try await withCoordinator([.forged]) { test, nodes in
      let outcome = try await test.ask(try test.seal(newAnswer(), to: [nodes[0].machine]))
      #expect(outcome.settled.isEmpty)
      #expect(test.store.balance(of: test.owner).earned == .zero)
      #expect(await nodes[0].acknowledged.count <= 1)
    }
  }

  @Test func `a client that leaves stops the machine and pays for what came`() async throws {
    try await withCoordinator([.waits(afterTokens: 4)]) { test, nodes in
      let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
      let asking = Task { try await test.ask(sealed) }
      try await test.until("running") { await nodes[0].producedByteCount > 2_000 }
      asking.cancel()
      _ = await asking.result
      try await test.until("stopped") { await !nodes[0].stops.isEmpty }
      try await test.until("acknowledged") { await nodes[0].acknowledged.count == 1 }
      #expect(await test.service.hub.relayCount == 0)
    }
  }

  @Test func `a slow reader holds the machine back instead of filling memory`() async throws {
    try await withCoordinator([.floods(bytes: 8 << 20)]) { test, nodes in
      let sealed = try test.seal(newAnswer(), to: [nodes[0].machine], tokenClass: .upTo65536)
      let body = try await test.client.send(sealed.envelope)
      var last = -1
      try await test.until("held back") {
        try await Task.sleep(for: .milliseconds(200))
        let now = await nodes[0].producedByteCount
        defer { last = now }
        return now > 0 && now == last
      }
      // Credit, the node's own queue, and what the connection buffers.
      #expect(await nodes[0].producedByteCount < 4 << 20)
      var count = 0
      for try await bytes in body { count += bytes.count }
      #expect(count > 8 << 20)
    }
  }

  @Test(arguments: [0, 1, 40, 200])
  func `a malformed envelope is refused with the one code for all`(count: Int) async throws {
    try await withCoordinator([.answer(tokens: 1)]) { test, nodes in
      let whole = try test.seal(newAnswer(), to: [nodes[0].machine]).envelope
      await #expect(throws: CoordinatorClient.Refusal(reason: .malformed)) {
        try await test.client.send(Array(whole.prefix(count)))
      }
      await #expect(throws: CoordinatorClient.Refusal(reason: .malformed)) {
        try await test.client.send(whole + [0])
      }
    }
  }

  @Test func `the log holds nothing of what is said, and no address`() async throws {
    try await withCoordinator([.answer(tokens: 3), .garbage]) { test, nodes in
      for node in nodes {
        _ = try await test.ask(try test.seal(newAnswer(), to: [node.machine]))
      }
      let text = test.log.recent.map(\.json).joined()
      #expect(!text.contains("secret words"))
      #expect(!text.contains("127.0.0.1"))
    }
  }
}
