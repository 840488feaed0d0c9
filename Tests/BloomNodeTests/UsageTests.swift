import BloomBase
import BloomModels
import BloomNet
import BloomWire
import Testing

@testable import BloomNode

@Suite struct UsageBookTests {
  @Test func `days are kept apart, in order, and bounded`() {
    var book = UsageBook()
    for day in [20_261_121, 20_261_120, 20_261_122, 20_261_120] {
      book.update(day) { $0.jobs += 1 }
    }
    #expect(book.days.map(\.date) == [20_261_120, 20_261_121, 20_261_122])
    #expect(book.day(20_261_120).jobs == 2)
    #expect(book.day(1).jobs == 0)
    for day in 0..<500 { book.update(30_000_000 + day) { $0.jobs += 1 } }
    #expect(book.days.count == UsageBook.capacity)
    #expect(book.days.last?.date == 30_000_499)
  }

  @Test func `a book survives the disk`() throws {
    var book = UsageBook()
    book.update(20_261_121) { day in
      day.workedMilliseconds = 5
      day.uploadedBytes = 6
      day.jobs = 7
      day.promptTokens = 8
      day.completionTokens = 9
      day.earned = Micros(10)
    }
    #expect(UsageBook(json: try JSONValue(decoding: book.json.encoded)) == book)
  }

  @Test(arguments: [
    "null", "{}", "[1]", "[{\"date\":1,\"worked_ms\":-5,\"jobs\":9223372036854775807}]",
    "[{\"date\":1,\"worked_ms\":9223372036854775807,\"earned_micros\":\"x\"}]",
  ])
  func `a damaged book cannot overflow a sum`(_ text: String) throws {
    var book = UsageBook(json: try JSONValue(decoding: Array(text.utf8)))
    book.update(1) { $0.jobs += 1 }
    var costs = OwnerSettings.Costs()
    costs.busyWatts = 100_000
    costs.electricityMicrosPerKilowattHour = 1_000_000_000
    costs.wearMicrosPerHour = 1_000_000_000
    let (electricity, wear) = book.day(1).cost(costs)
    #expect(electricity.rawValue >= 0 && wear.rawValue >= 0)
    #expect(book.day(1).jobs >= 1)
  }

  @Test func `electricity counts what work takes beyond idling`() {
    var day = UsageBook.Day(date: 1)
    day.workedMilliseconds = 7_200_000
    var costs = OwnerSettings.Costs()
    costs.idleWatts = 10
    costs.busyWatts = 60
    costs.electricityMicrosPerKilowattHour = 300_000
    costs.wearMicrosPerHour = 1_000
    // 50 W for two hours are 0.1 kWh.
    #expect(day.cost(costs).electricity == Micros(30_000))
    #expect(day.cost(costs).wear == Micros(2_000))
    costs.busyWatts = 5
    #expect(day.cost(costs).electricity == .zero)
  }
}

@Suite struct MemoryPlanTests {
  static func model(_ name: String, _ mebibytes: UInt64) throws -> NodeModel {
    try NodeModel(manifest: ModelAdviceTests.model(name, mebibytes), paths: ["/w"])
  }

  @Test func `models share the memory that the owner gives`() throws {
    let models = [
      try Self.model("a", 640), try Self.model("b", 2_000), try Self.model("c", 160),
    ]
    let plan = MemoryPlan(models, budgetBytes: 1_000 << 20, threads: 3)
    #expect(plan.models.map(\.manifest.name) == ["a", "c"])
    let shares = plan.models.map { plan.settings(WorkerSettings(), for: $0).memoryBytes }
    #expect(shares == [745 + 10, 235 + 10].map { $0 << 20 })
    var wished = WorkerSettings()
    wished.threads = 8
    #expect(plan.settings(wished, for: models[0]).threads == 3)
    #expect(MemoryPlan(models, budgetBytes: 10 << 20).nothingFits.contains("limits.memory_mib"))
    #expect(MemoryPlan(models, budgetBytes: nil).models.count == 3)
  }
}

@Suite struct NodeContractTests {
  @Test func `what is accepted is this very text`() throws {
    let folder = try TemporaryFolder()
    var settings = OwnerSettings()
    func contract() -> NodeContract {
      NodeContract(settings: settings, models: ["m"], memoryBytes: 16 << 30)
    }
    #expect(!contract().isAccepted(in: folder.path))
    try contract().accept(in: folder.path)
    #expect(contract().isAccepted(in: folder.path))
    settings.servesOnBattery = true
    #expect(!contract().isAccepted(in: folder.path))
  }

  @Test func `every limit that is set is named`() throws {
    var settings = OwnerSettings()
    settings.windows = [try ScheduleWindow("sat 10:00-12:00")]
    settings.exclusiveApps = ["blender"]
    settings.limits.memoryMebibytes = 1_111
    settings.limits.diskMebibytes = 2_222
    settings.limits.uploadMebibytesPerDay = 33
    settings.limits.hoursPerDay = 4
    settings.limits.watts = 55
    let text = NodeContract(settings: settings, models: ["tiny"], memoryBytes: 16 << 30).text
    for part in ["sat 10:00-12:00", "blender", "1111", "2222", "33", "4 hours", "55 W", "tiny"] {
      #expect(text.contains(part), "\(part)")
    }
  }
}

@Suite struct ProgramWatchTests {
  @Test func `a replaced program is seen once it stands still`() {
    let old = ProgramWatch.Mark(inode: 1, size: 1, changed: 1)
    let new = ProgramWatch.Mark(inode: 2, size: 2, changed: 2)
    let folder = try? TemporaryFolder()
    let path = "\(folder?.path ?? "")/program"
    try? StateFolder(existing: folder?.path ?? "").write("program", [1])
    var watch = ProgramWatch(paths: [path])
    func isReplaced(_ marks: [ProgramWatch.Mark?]? = nil) -> Bool {
      marks.map { watch.isReplaced($0) } ?? watch.isReplaced()
    }
    #expect(!isReplaced())
    #expect(!isReplaced([old]), "changed just now: somebody may still write")
    #expect(isReplaced([old]))
    #expect(!isReplaced([nil]), "gone is not replaced")
    #expect(!isReplaced([new]))
    #expect(isReplaced([new]))
    try? StateFolder(existing: folder?.path ?? "").write("program", [1, 2])
    #expect(!isReplaced())
    #expect(isReplaced())
  }
}

@Suite struct CoordinatorChoiceTests {
  @Test func `all are tried in turn, ever more slowly, for as long as none answers`() {
    var choice = CoordinatorChoice(count: 3)
    var random = SeededGenerator(seed: 1)
    var clock = Duration.zero
    var tried = [0, 0, 0]
    // Twenty minutes of silence.
    while clock < .seconds(1_200) {
      tried[choice.index] += 1
      let delay = choice.ended(LinkEnding(wasOpen: false, retryAfter: nil), using: &random)
      #expect(delay <= .seconds(60) && delay >= .milliseconds(250))
      clock += delay
    }
    #expect(tried.allSatisfy { $0 >= 7 && $0 <= 25 }, "\(tried)")
  }

  @Test func `after a link that was open the first is tried soon again`() {
    var choice = CoordinatorChoice(count: 2)
    var random = SeededGenerator(seed: 2)
    for _ in 0..<9 { _ = choice.ended(LinkEnding(wasOpen: false, retryAfter: nil), using: &random) }
    #expect(choice.index == 1)
    let soon = choice.ended(LinkEnding(wasOpen: true, retryAfter: nil), using: &random)
    #expect(choice.index == 0)
    #expect(soon <= .milliseconds(500))
    let wished = choice.ended(LinkEnding(wasOpen: true, retryAfter: .seconds(10)), using: &random)
    #expect(wished >= .seconds(10) && wished <= .seconds(11))
  }
}

@Suite struct MachineFactsTests {
  @Test func `the estimate follows the published measurements`() throws {
    // LLaMA-2 7B Q4_0 is 3.8 GB: M1 at 68 GB/s made 14.2 tokens/s, M2 Ultra at 800 made 94.3.
    for (speed, low, high) in [(68e9, 12.0, 17.0), (800e9, 80.0, 110.0)] {
      let facts = MachineFacts(
        architecture: "arm64", cores: 8, memoryBytes: 16 << 30, bytesPerSecond: speed, graphics: [])
      let rate = try #require(facts.tokensPerSecond(weightBytes: 3_800_000_000))
      #expect(rate > low && rate < high, "\(rate)")
      #expect(facts.tokensPerSecond(weightBytes: 0) == nil)
    }
  }

  @Test func `this machine can be measured`() async {
    let facts = await QuickBenchmark.run(duration: .milliseconds(30))
    #expect(facts.bytesPerSecond > 1e7)
    #expect(facts.cores >= 1)
  }
}
