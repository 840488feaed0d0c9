import BloomBase
import BloomClient
import BloomEngine
import BloomModels
@testable import BloomNet
import BloomWire
import Testing

@testable import BloomNode

@Suite(.serialized) struct NodeOwnerTests {
  /// Remembers what was asked of it.
  final class Sleep: SleepInhibitor {
    let steps = Locked<[String]>([])
    func hold() { steps.withLock { $0.append("hold") } }
    func release() { steps.withLock { $0.append("release") } }
  }

  /// A wall clock that jumps when told to; the other clock goes on.
  final class JumpingTime: TimeSource {
    private let offset = Locked<Int64>(0)
    func jump(to seconds: Int64) { offset.withLock { $0 = seconds } }
    func now() -> Instant { SystemTime().now() }
    func unixTime() -> UnixTime { SystemTime().unixTime() + offset.withLock { $0 } }
  }

  struct SelfTest: NodeSelfTest {
    func run(
      _ manifest: ModelManifest, record: [UInt8],
      send: @Sendable ([UInt8]) async throws -> [UInt8]
    ) async throws -> Int {
      try await SealedSelfTest().run(manifest, record: record, send: send)
    }
  }

  @Test func `from the owner's touch to no token and no weights: work goes back, in this order`()
    async throws
  {
    var script = ScriptedScript.slow
    script.answerTokens = 50_000
    let owner = NodeServiceTests.ScriptedOwner()
    let sleep = Sleep()
    let touched = Locked<Instant?>(nil)
    let lastToken = Locked<Instant?>(nil)
    let clock = SystemTime()
    try await withNetwork(
      script: script, configure: { $0.owner = OwnerSettings() }, sensor: owner, sleep: sleep
    ) { network in
      try await network.untilServed()
      #expect(sleep.steps.withLock { $0 }.isEmpty, "nothing runs, so the machine may sleep")
      let asking = Task {
        try await network.ask(maxTokens: 4_000) { lastToken.withLock { $0 = clock.now() } }
      }
      try await network.until("working") { $0["models"]?.items?.first?["active"]?.integer == 1 }
      for _ in 0..<400 where lastToken.withLock({ $0 }) == nil {
        try await Task.sleep(for: .milliseconds(10))
      }
      for _ in 0..<400 where sleep.steps.withLock({ $0 }) != ["hold"] {
        try await Task.sleep(for: .milliseconds(10))
      }
      #expect(sleep.steps.withLock { $0 } == ["hold"])
      touched.withLock { $0 = clock.now() }
      owner.touch()
      for _ in 0..<2_000 where network.launcher.endedAt == nil {
        try await Task.sleep(for: .milliseconds(1))
      }
      let ended = try #require(network.launcher.endedAt)
      let last = try #require(lastToken.withLock { $0 })
      let start = try #require(touched.withLock { $0 })
      try await network.until("away") {
        $0["level"]?.string == "away" && $0["requests"]?["handed_back"]?.integer == 1
          && $0["models"]?.items?.first?["state"]?.string == "stored"
          && $0["signals"]?["causes"]?.items?.first?.string == "input"
      }
      for _ in 0..<400 where sleep.steps.withLock({ $0.count }) < 2 {
        try await Task.sleep(for: .milliseconds(10))
      }
      #expect(sleep.steps.withLock { $0 } == ["hold", "release"])
      print(
        "owner's touch: last token after \((last - start).wholeNanoseconds / 1_000_000) ms, "
          + "worker gone after \((ended - start).wholeNanoseconds / 1_000_000) ms")
      asking.cancel()
      _ = await asking.result
    }
  }

  @Test func `a self-test runs sealed, is not paid, and shows in the status`() async throws {
    try await withNetwork(configure: { $0.selfTest = SelfTest() }) { network in
      try await network.until("tested") {
        $0["models"]?.items?.first?["self_test"]?["ok"]?.bool == true
      }
      let status = try await network.status()
      #expect(status["last_jobs"]?.items?.first?["self_test"]?.bool == true)
      #expect(status["unconfirmed_receipts"]?.integer == 0)
      #expect(status["today"]?["jobs"]?.integer == 0)
      #expect(NodeStatusPage(status).text.contains("self-test passed"))
      try await network.untilServed()
      _ = try await network.ask()
      try await network.until("counted") { $0["today"]?["jobs"]?.integer == 1 }
      let book = try await NodeConsoleClient(socket: "\(network.folder.path)/s").ask(.earnings)
      #expect(book["days"]?.items?.first?["jobs"]?.integer == 1)
    }
  }

  @Test func `a self-test that cannot hold is a fault for the doctor`() async throws {
    struct Broken: NodeSelfTest {
      func run(
        _ manifest: ModelManifest, record: [UInt8],
        send: @Sendable ([UInt8]) async throws -> [UInt8]
      ) async throws -> Int {
        // Not sealed at all: the agent refuses it, whatever the worker would say.
        _ = try await send([1, 2, 3])
        return 1
      }
    }
    try await withNetwork(configure: { $0.selfTest = Broken() }) { network in
      try await network.until("failed") {
        $0["models"]?.items?.first?["self_test"]?["ok"]?.bool == false
      }
      try await network.until("open") { $0["link"]?.string == "open" }
      let findings = await NodeDoctor(configuration: network.settings).examine()
      #expect(findings.last?.state == .fault)
      #expect(findings.last?.text.contains("self-test") == true)
    }
  }

  @Test func `the coordinator says how it sees the node`() async throws {
    try await withNetwork { network in
      try await network.until("told") { status in
        let names = status["standing"]?["parts"]?.members?.map(\.name) ?? []
        return names == ["attestation", "reliability", "capability", "availability", "network"]
      }
      let text = NodeStatusPage(try await network.status()).text
      #expect(text.contains("of 1000: attestation 500"))
    }
  }

  @Test func `a machine in no account is told so, and the doctor knows before it starts`()
    async throws
  {
    try await withNetwork(defaultOwner: nil) { network in
      try await network.until("told why") {
        $0["link_problem"]?.string == NodeAgent.notEnrolled && $0["link"]?.string != "open"
      }
      #expect(NodeStatusPage(try await network.status()).text.contains("in no account"))
      let doctor = NodeDoctor(configuration: network.settings, logKey: network.logKey)
      let findings = await doctor.examine()
      let faults = findings.filter { $0.state == .fault && $0.fix == "darkbloom node enroll" }
      #expect(faults.map(\.name) == ["enrolment", "node"])
      #expect(String(decoding: NodeDoctor.json(findings), as: UTF8.self).contains("\"ok\":false"))
      // Signed for another network, it proves nothing.
      let other = NodeDoctor(
        configuration: network.settings, logKey: Array(repeating: 7, count: 32))
      let refused = await other.examine().first { $0.name == "enrolment" }
      #expect(refused?.state == .fault && refused?.fix?.contains("join") == true)
    }
  }

  @Test func `an enrolled machine's doctor says whose it is, and one coordinator of two is enough`()
    async throws
  {
    try await withNetwork { network in
      try await network.until("open") { $0["link"]?.string == "open" }
      var settings = network.settings
      settings.coordinators.append("ftp://nowhere")
      let findings = await NodeDoctor(configuration: settings, logKey: network.logKey).examine()
      let enrolment = findings.first { $0.name == "enrolment" }
      #expect(enrolment?.state == .ok && enrolment?.text == "belongs to owner")
      #expect(findings.first { $0.name == "coordinator 1" }?.state == .ok)
      #expect(findings.first { $0.name == "coordinator 2" }?.state == .warning)
    }
  }

  @Test func `changed settings hold at once, and a mistake in them changes nothing`() async throws {
    let text = Locked("{}")
    try await withNetwork(
      configure: {
        $0.owner = OwnerSettings()
        $0.loadOwner = { try OwnerSettings(user: text.withLock { $0 }, fleet: nil) }
      }, sensor: NodeServiceTests.ScriptedOwner(), sleep: Sleep()
    ) { network in
      let console = NodeConsoleClient(socket: "\(network.folder.path)/s")
      try await network.until("serving") { $0["level"]?.string == "serve" }
      // A window of one minute, half a day away from now.
      let now = LocalClock.local(SystemTime().unixTime())
      let away = LocalTime(weekday: now.weekday, minute: now.minute + 720)
      let window = try #require(
        ScheduleWindow(weekdays: [away.weekday], start: away.minute, end: (away.minute + 1) % 1_440)
      )
      text.withLock { $0 = "{schedule: [\"\(window)\"]}" }
      _ = try await console.ask(.reload)
      try await network.until("outside its hours") { $0["reason"]?.string == "outside_hours" }
      text.withLock { $0 = "{schedule: [\"whenever\"]}" }
      await #expect(throws: NodeError.self) { _ = try await console.ask(.reload) }
      #expect(try await network.status()["reason"]?.string == "outside_hours")
      text.withLock { $0 = "{}" }
      _ = try await console.ask(.reload)
      try await network.until("serving again") { $0["level"]?.string == "serve" }
    }
  }

  @Test func `stop ends the service, drained`() async throws {
    try await withNetwork { network in
      try await network.until("open") { $0["link"]?.string == "open" }
      _ = try await NodeConsoleClient(socket: "\(network.folder.path)/s").ask(.stop)
      try await network.node.value
      await #expect(throws: NodeError.self) { _ = try await network.status() }
      // The book is on the disk for whoever asks next.
      _ = try NodeService.earnings(
        dataFolder: network.settings.dataFolder, costs: OwnerSettings.Costs())
    }
  }

  @Test func `a wall clock that jumps neither loses the node nor a day's figures`() async throws {
    let time = JumpingTime()
    try await withNetwork(time: time) { network in
      try await network.untilServed()
      _ = try await network.ask()
      try await network.until("counted") { $0["today"]?["jobs"]?.integer == 1 }
      for days: Int64 in [40, -40, 1] {
        time.jump(to: days * 86_400)
        #expect(try await network.status()["today"]?["jobs"]?.integer == 0)
      }
      time.jump(to: 0)
      try await network.until("back") {
        $0["today"]?["jobs"]?.integer == 1 && $0["link"]?.string == "open"
      }
      let again = try await network.ask()
      #expect(again.failure == nil)
    }
  }

  @Test func `workers that are killed at any moment come back, and every receipt arrives`()
    async throws
  {
    var script = ScriptedScript.slow
    script.answerTokens = 400
    try await withNetwork(script: script) { network in
      try await network.untilServed()
      var random = SeededGenerator(seed: 11)
      for round in 0..<2 {
        let asking = Task { try await network.ask(maxTokens: 400) }
        let wait = Int.random(in: 0...150, using: &random)
        try await Task.sleep(for: .milliseconds(wait))
        let launches = network.launcher.launches
        network.launcher.killAll()
        try await network.until("started again, round \(round)") {
          _ in network.launcher.launches > launches
        }
        _ = await asking.result
        try await network.until("loaded, round \(round)") {
          $0["models"]?.items?.first?["state"]?.string == "loaded"
        }
      }
      try await network.until("acknowledged") { $0["unconfirmed_receipts"]?.integer == 0 }
      let models = try await network.status()["models"]?.items
      #expect(models?.first?["crash_looping"]?.bool == false)
    }
  }

  @Test func `through a proxy, and past a coordinator that is not there`() async throws {
    let proxy = Locked<ConnectProxy?>(nil)
    try await withNetwork(overTCP: { settings, port in
      let running = try await ConnectProxy.start()
      proxy.withLock { $0 = running }
      settings.client.memory = nil
      settings.client.proxy = .everywhere(
        ProxyConfiguration(host: "127.0.0.1", port: running.port))
      // Nobody listens at the first; the second is the coordinator.
      settings.coordinators = ["http://127.0.0.1:1", "http://127.0.0.1:\(port)"]
    }) { network in
      try await network.until("open") { $0["link"]?.string == "open" }
      let asked = proxy.withLock { $0?.asked.withLock { $0 } ?? [] }
      #expect(asked.contains("127.0.0.1:1"))
      #expect(asked.count >= 2)
    }
    await proxy.withLock { $0 }?.stop()
  }
}

/// A proxy that opens tunnels to this machine's loopback.
final class ConnectProxy: Sendable {
  let port: Int
  let asked: Locked<[String]>
  private let listener: Listener
  private let loop: EventLoop

  private init(_ listener: Listener, _ asked: Locked<[String]>, _ loop: EventLoop) {
    port = listener.address.port ?? 0
    self.listener = listener
    self.asked = asked
    self.loop = loop
  }

  static func start() async throws -> ConnectProxy {
    let loop = EventLoopGroup.shared.loops[0]
    let asked = Locked<[String]>([])
    return try await loop.run {
      let listener = try Listener(tcp: "127.0.0.1", port: 0, reusesPort: false, on: loop) {
        socket in
        Task(executorPreference: loop) {
          defer { socket.close() }
          var head = ""
          while !head.hasSuffix("\r\n\r\n") {
            guard let chunk = try await socket.readChunk() else { return }
            head += String(decoding: chunk, as: UTF8.self)
          }
          let target = String(head.split(separator: " ")[1])
          asked.withLock { $0.append(target) }
          let port = target.split(separator: ":").last.flatMap { Int($0) } ?? 0
          guard
            let inner = try? await Socket.connect(
              .ip(.loopback, port: port), on: loop)
          else {
            try await socket.write(
              Array("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n".utf8))
            return
          }
          defer { inner.close() }
          try await socket.write(Array("HTTP/1.1 200 OK\r\n\r\n".utf8))
          try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) { try await pump(socket, inner) }
            group.addTask(executorPreference: loop) { try await pump(inner, socket) }
            try await group.next()
            group.cancelAll()
            socket.close()
            inner.close()
          }
        }
      }
      return ConnectProxy(listener, asked, loop)
    }
  }

  func stop() async { try? await loop.run { self.listener.close() } }
}

private func pump(_ source: ByteStream, _ target: ByteStream) async throws {
  while let chunk = try await source.readChunk() { try await target.write(chunk) }
}
