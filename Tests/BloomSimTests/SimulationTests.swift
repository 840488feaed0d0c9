import BloomBase
import BloomSim
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

private var isDeep: Bool { unsafe getenv("DARKBLOOM_DEEP") != nil }

@Suite struct SimulationTests {
  @Test(arguments: 0..<10)
  func `no seed breaks a rule`(group: UInt64) {
    let each: UInt64 = isDeep ? 200 : 10
    for seed in group * each + 1...(group + 1) * each {
      let report = Simulation(Self.plan(seed)).run()
      #expect(report.faults == [], "replay: \(report.replay)")
    }
  }

  @Test func `the same seed gives the same run`() {
    let first = Simulation(Self.plan(3)).run()
    #expect(Simulation(Self.plan(3)).run() == first)
    #expect(Simulation(Self.plan(4)).run().fingerprint != first.fingerprint)
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

  @Test func `faults do happen and answers go on elsewhere`() {
    var continued = 0
    var crashes = 0
    var complete = 0
    for seed in UInt64(1)...10 {
      let report = Simulation(SimPlan(seed: seed)).run()
      continued += report.continued
      crashes += report.coordinatorCrashes
      complete += report.complete
    }
    #expect(continued > 10)
    #expect(crashes > 0)
    #expect(complete > 100)
  }

  private static func plan(_ seed: UInt64) -> SimPlan {
    var plan = SimPlan(seed: seed)
    plan.answers = 16
    plan.duration = .seconds(9)
    return plan
  }
}

@Suite struct CapacityTests {
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
