import BloomBase
import BloomClient
import BloomCoordinator
import BloomHTTP
import BloomLedger
import BloomNet
import BloomRecords
import BloomSeal
import BloomStore
import BloomWire
import Testing

/// A hostile node or client hurts only itself.
@Suite(.serialized) struct HostileTests {
  /// An honest account asks an honest machine: what must work whatever others do.
  private static func expectService(_ test: TestCoordinator, _ node: FakeNode) async throws {
    let outcome = try await test.ask(test.seal(newAnswer(), to: [node.machine]))
    #expect(outcome.isFinished)
  }

  private static func envelopeBytes(_ test: TestCoordinator) async throws -> Int? {
    let response = try await test.http.send(
      try ClientRequest.get("http://coordinator/metrics"), timeout: .seconds(10))
    let text = String(decoding: try await response.body.collect(upTo: 1 << 20), as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix("darkbloom_envelope_bytes ") }
    return line?.split(separator: " ").last.flatMap { Int($0) }
  }

  @Test func `an account that floods is turned away with a time, others are served`() async throws {
    try await withCoordinator([.answer(tokens: 1)], configure: { $0.rates.account = 1 }) {
      test, nodes in
      let (_, key) = try await test.account("flood", credit: 1_000_000_000)
      let flooder = test.client(key: key)
      var refused = 0
      for _ in 0..<30 {
        do {
          _ = try await flooder.send([0])
        } catch let refusal as CoordinatorClient.Refusal where refusal.reason == .rateLimited {
          refused += 1
        } catch {}
      }
      // Ten may come at once; on a slow machine others do while the flood lasts.
      #expect((1...20).contains(refused))
      try await Self.expectService(test, nodes[0])
      var request = try ClientRequest.post("http://coordinator/v1/sealed", [0])
      request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key))
      var response = try await test.http.send(request, timeout: .seconds(10))
      for _ in 0..<100 where response.status != .tooManyRequests {
        response = try await test.http.send(request, timeout: .seconds(10))
      }
      #expect(response.status == .tooManyRequests)
      #expect(response.headers[.retryAfter].flatMap { Int($0) } != nil)
    }
  }

  @Test func `an envelope beyond the limit is refused before it comes`() async throws {
    try await withCoordinator([.answer(tokens: 1)]) { test, nodes in
      let (_, key) = try await test.account("large", credit: 1_000_000_000)
      var request = try ClientRequest.post("http://coordinator/v1/sealed", [])
      request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key))
      request.body = .stream(length: (64 << 20) + 1) { writer in
        try await writer.write([UInt8](repeating: 1, count: 65_536))
        try await Task.sleep(for: .seconds(60))
      }
      let response = try await test.http.send(request, timeout: .seconds(10))
      #expect(response.status == .contentTooLarge)
      try await Self.expectService(test, nodes[0])
    }
  }

  @Test func `who announces much and sends little holds no memory of others`() async throws {
    try await withCoordinator([.answer(tokens: 1)], configure: { $0.envelopeBytes = 1 << 20 }) {
      test, nodes in
      let (_, key) = try await test.account("announcer", credit: 1_000_000_000)
      let slow = try (0..<8).map { _ in
        var request = try ClientRequest.post("http://coordinator/v1/sealed", [])
        request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key))
        request.body = .stream(length: 60 << 20) { writer in
          try await writer.write([1, 1, 1])
          try await writer.flush()
          try await Task.sleep(for: .seconds(60))
        }
        return request
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for request in slow {
          group.addTask { _ = try? await test.http.send(request, timeout: .seconds(30)) }
        }
        try await test.until("all are there") { test.service.server.connectionCount >= 9 }
        try await Self.expectService(test, nodes[0])
        group.cancelAll()
      }
    }
  }

  @Test func `a machine that takes a request and never lets it come holds only that request`()
    async throws
  {
    try await withCoordinator([.hoards, .answer(tokens: 2)]) { test, nodes in
      let large = String(repeating: "many secret words ", count: 40_000)
      let sealed = try test.seal(
        newAnswer(), to: [nodes[0].machine], deadline: 1_500, content: large)
      async let stuck = test.ask(sealed)
      try await Self.expectService(test, nodes[1])
      let outcome = try await stuck
      #expect(!outcome.isFinished && outcome.tokens.isEmpty)
      #expect(!outcome.failures.isEmpty)
      try await Self.expectService(test, nodes[1])
      try await test.until("nothing is held") { try await Self.envelopeBytes(test) == 0 }
    }
  }

  @Test func `a machine that refuses an answer is paid nothing for it, and who gave it is`()
    async throws
  {
    let thief = try #require(AccountID("thief"))
    var isAsked = false
    // Which of two unknown machines is asked first is drawn; one that has served well stays the first.
    for _ in 0..<30 where !isAsked {
      try await withCoordinator([.steals, .answer(tokens: 20)]) { test, nodes in
        try await test.own(nodes[0].machine, thief)
        await test.service.hub.membershipChanged()
        let machines = nodes.map { $0.machine }
        let outcome = try await test.ask(test.seal(newAnswer(), to: machines))
        #expect(outcome.isFinished)
        #expect(outcome.settled.map(\.cost) == [Micros(52)])
        isAsked = await nodes[0].requestCount == 1
        #expect(test.store.balance(of: thief).earned == .zero)
        #expect(test.store.balance(of: test.owner).earned == Micros(50))
      }
    }
    #expect(isAsked)
  }

  @Test func `a machine that sends much and nothing good disturbs nobody`() async throws {
    try await withCoordinator([.overruns(bytes: 1 << 20), .answer(tokens: 1)]) { test, nodes in
      let outcome = try await test.ask(test.seal(newAnswer(), to: [nodes[0].machine]))
      #expect(outcome.tokens.isEmpty && !outcome.isFinished)
      try await Self.expectService(test, nodes[1])
    }
  }

  @Test func `an envelope that comes too slowly is turned away and holds nothing`() async throws {
    let time = ManualTime()
    try await withCoordinator([], time: time) { test, _ in
      let (_, key) = try await test.account("slow", credit: 1_000_000_000)
      var request = try ClientRequest.post("http://coordinator/v1/sealed", [])
      request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key))
      request.body = .stream(length: 1 << 20) { writer in
        for _ in 0..<100 {
          try await writer.write([1])
          try await writer.flush()
          time.advance(1)
          try await Task.sleep(for: .milliseconds(5))
        }
      }
      let response = try await test.http.send(request, timeout: .seconds(10))
      #expect(response.status.code == Reason.deadline.httpStatus)
      try await test.until("nothing is held") { try await Self.envelopeBytes(test) == 0 }
    }
  }

  enum Frame: CaseIterable, Sendable { case oversize, text, nonsense, wrongOrder }

  @Test(arguments: Frame.allCases)
  func `a node that speaks otherwise than agreed is cut off alone`(frame: Frame) async throws {
    try await withCoordinator([.answer(tokens: 1)]) { test, nodes in
      let socket = try await test.http.webSocket(try HTTPURL("http://coordinator/v1/node"))
      // The other side may close while this one still writes.
      switch frame {
      case .oversize: try? await socket.send([UInt8](repeating: 0x82, count: 1 << 20))
      case .text: try? await socket.send("hello")
      case .nonsense: try? await socket.send([0xff, 0x00, 0x13])
      case .wrongOrder: try? await socket.send(AgentMessage.accept(StreamID(1)).encoded)
      }
      var isOpen = true
      while isOpen {
        do { isOpen = try await socket.receive() != nil } catch { isOpen = false }
      }
      try await Self.expectService(test, nodes[0])
      #expect(await test.service.hub.nodeCount == 1)
    }
  }
}
