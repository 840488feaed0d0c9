import BloomBase
import BloomSim
import BloomTestTraits
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

private var isDeep: Bool { unsafe getenv("DARKBLOOM_DEEP") != nil }

/// One at a time: each computes for as long as it runs.
@Suite(.ownThread, .serialized) struct SimulationTests {
  @Test(arguments: 0..<10)
  func `no seed breaks a rule`(group: UInt64) {
    let each: UInt64 = isDeep ? 200 : 10
    for seed in group * each + 1...(group + 1) * each {
      var plan = Self.plan(seed)
      // A file is slower: in the quick variant every fifth run writes and recovers one.
      let file = isDeep || seed.isMultiple(of: 5) ? StoreFile() : nil
      plan.store = file?.path
      let report = Simulation(plan).run()
      #expect(report.faults == [], "replay: \(report.replay)")
    }
  }

  @Test func `the same seed gives the same run, in memory and in a file`() {
    let first = Simulation(Self.plan(3)).run()
    #expect(Simulation(Self.plan(3)).run() == first)
    #expect(Simulation(Self.plan(4)).run().fingerprint != first.fingerprint)
    let file = StoreFile()
    var plan = Self.plan(3)
    plan.store = file.path
    #expect(Simulation(plan).run().fingerprint == first.fingerprint)
  }

  @Test func `without faults and vices every answer comes whole`() {
    for seed in UInt64(1)...3 {
      var plan = Self.plan(seed)
      plan.faultEvery = nil
      plan.viceShare = 0
      let report = Simulation(plan).run()
      #expect(report.faults == [])
      #expect(report.complete == plan.answers)
    }
  }

  @Test func `every answer outlives the connections of its user's device`() {
    var continued = 0
    for seed in UInt64(1)...20 {
      var plan = Self.plan(seed)
      plan.kinds = [.gatewayCut]
      plan.faultEvery = .milliseconds(1500)
      plan.viceShare = 0
      let report = Simulation(plan).run()
      #expect(report.faults == [])
      #expect(report.complete == plan.answers, "replay: \(report.replay)")
      continued += report.continued
    }
    #expect(continued > 20)
  }

  @Test func `every kind of fault happens, answers go on elsewhere and most come whole`() {
    var happened: [FaultKind: Int] = [:]
    var continued = 0
    var complete = 0
    var waited = 0
    var recoveries = 0
    for seed in UInt64(1)...12 {
      var plan = SimPlan(seed: seed)
      let file = StoreFile()
      plan.store = file.path
      let report = Simulation(plan).run()
      #expect(report.faults == [], "replay: \(report.replay)")
      happened.merge(report.happened) { $0 + $1 }
      continued += report.continued
      complete += report.complete
      waited += report.waited
      recoveries += report.recoveries
    }
    for kind in FaultKind.allCases { #expect((happened[kind] ?? 0) > 0, "\(kind)") }
    #expect(continued > 10)
    #expect(complete > 200)
    #expect(waited > 20)
    #expect(recoveries == happened[.coordinatorCrash])
  }

  @Test(arguments: Sabotage.allCases)
  func `a broken rule is seen by its checker`(sabotage: Sabotage) {
    var complaints: [String] = []
    for seed in UInt64(1)...40 {
      var plan = SimPlan(seed: seed)
      plan.nodes = 3
      plan.viceShare = 0.7
      plan.sabotage = sabotage
      let file = sabotage == .mintsMoney ? StoreFile() : nil
      plan.store = file?.path
      complaints += Simulation(plan).run().faults
      if complaints.contains(where: { $0.contains(sabotage.complaint) }) { return }
    }
    Issue.record("no checker saw \(sabotage); they said \(Set(complaints).prefix(3))")
  }

  private static func plan(_ seed: UInt64) -> SimPlan {
    var plan = SimPlan(seed: seed)
    plan.answers = 16
    plan.duration = .seconds(9)
    return plan
  }
}

/// A store's file that is deleted with its last user.
private final class StoreFile {
  let path: String

  init() {
    let folder = unsafe access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    path = "\(folder)/bloom-sim-test-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).sqlite"
  }

  deinit {
    for suffix in ["", "-wal", "-shm"] { _ = unsafe unlink(path + suffix) }
  }
}

@Suite(.serialized) struct CapacityTests {
  @Test func `the model agrees with published points`() {
    guard let m1 = Chip.named("M1") else {
      Issue.record("no M1")
      return
    }
    // The formula without the 6 % for scales predicts 40.4 ms for Phi-3-mini on an M1.
    #expect(abs(1000 / m1.decodeRate(SmallModel.all[0]) - 42) < 3)
  }

  @Test func `a loaded network delivers what is offered and is the same on every run`() {
    var plan = CapacityPlan(seed: 1)
    plan.nodes = 40
    plan.warmUp = 20
    plan.measured = 60
    plan.load = 0.5
    var run = CapacityRun(plan)
    let result = run.run()
    #expect(result.tokens / result.sum > 0.4)
    #expect(Double(result.refused) <= 0.01 * Double(result.arrived))
    var again = CapacityRun(plan)
    #expect(again.run() == result)
  }

  @Test func `a confidence interval is wide for few samples and none for one`() {
    #expect(CapacityReport.Interval([5]).half == 0)
    let interval = CapacityReport.Interval([1, 2, 3])
    #expect(interval.mean == 2)
    #expect(abs(interval.half - 2.48) < 0.02)
  }
}
