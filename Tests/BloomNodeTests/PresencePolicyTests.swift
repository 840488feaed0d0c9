import BloomBase
import BloomWire
import Testing

@testable import BloomNode

@Suite struct PresencePolicyTests {
  static let noon = LocalTime(weekday: 3, minute: 720)

  static func quiet() -> OwnerSnapshot { OwnerSnapshot(local: noon) }

  static func at(_ seconds: Int) -> Instant {
    Instant(nanoseconds: 1_000_000_000_000 + UInt64(seconds) * 1_000_000_000)
  }

  @Test func `nothing known means that everything may be used`() {
    var policy = PresencePolicy(settings: OwnerSettings())
    #expect(policy.decide(Self.quiet(), now: Self.at(0)) == .serve)
    #expect(policy.causes.isEmpty)
  }

  struct Row: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let order: ServiceOrder
    let change: @Sendable (inout OwnerSnapshot, inout OwnerSettings) -> Void
  }

  static let rows = [
    Row(
      testDescription: "outside the hours",
      order: ServiceOrder(.away, .outsideHours, grace: .seconds(20))
    ) { _, settings in
      settings.windows = [ScheduleWindow(weekdays: [0], start: 0, end: 60)].compactMap(\.self)
    },
    Row(testDescription: "an app", order: ServiceOrder(.away, .ownerActive)) {
      $1.exclusiveApps = ["game"]
      $0.runningApps = ["game"]
    },
    Row(testDescription: "battery", order: ServiceOrder(.away, .onBattery)) { snapshot, _ in
      snapshot.isOnBattery = true
    },
    Row(testDescription: "hot", order: ServiceOrder(.drain, .tooHot, grace: .seconds(5))) {
      snapshot, _ in snapshot.heat = .serious
    },
    Row(testDescription: "very hot", order: ServiceOrder(.away, .tooHot)) { snapshot, _ in
      snapshot.heat = .critical
    },
    Row(testDescription: "memory is short", order: ServiceOrder(.polite, .lowMemory)) {
      snapshot, _ in snapshot.memory = .warning
    },
    Row(testDescription: "memory is gone", order: ServiceOrder(.away, .lowMemory)) {
      snapshot, _ in snapshot.memory = .critical
    },
    Row(testDescription: "metered", order: ServiceOrder(.drain, .meteredNetwork)) {
      snapshot, _ in snapshot.isMetered = true
    },
    Row(testDescription: "input", order: ServiceOrder(.away, .ownerActive)) { snapshot, _ in
      snapshot.inputIdle = .zero
    },
    Row(testDescription: "input, weights stay", order: ServiceOrder(.drain, .ownerActive)) {
      $1.unloadsForOwner = false
      $0.inputIdle = .milliseconds(40)
    },
  ]

  @Test(arguments: rows) func `each reason acts at its first snapshot`(_ row: Row) {
    var settings = OwnerSettings()
    var snapshot = Self.quiet()
    row.change(&snapshot, &settings)
    var policy = PresencePolicy(settings: settings)
    #expect(policy.decide(snapshot, now: Self.at(0)) == row.order)
  }

  @Test func `the first reason in order is told and the strictest level applies`() {
    var policy = PresencePolicy(settings: OwnerSettings())
    var snapshot = Self.quiet()
    snapshot.memory = .warning
    snapshot.inputIdle = .zero
    snapshot.isOnBattery = true
    #expect(policy.decide(snapshot, now: Self.at(0)) == ServiceOrder(.away, .onBattery))
    #expect(policy.causes == [.battery, .memory, .input])
  }

  @Test func `a battery needs charge and a minute on mains before work comes back`() {
    var policy = PresencePolicy(settings: OwnerSettings())
    var snapshot = Self.quiet()
    snapshot.isOnBattery = true
    snapshot.batteryPercent = 70
    _ = policy.decide(snapshot, now: Self.at(0))
    snapshot.isOnBattery = false
    #expect(policy.decide(snapshot, now: Self.at(600)).reason == .onBattery)
    snapshot.batteryPercent = 81
    #expect(policy.decide(snapshot, now: Self.at(601)).reason == .onBattery)
    #expect(policy.decide(snapshot, now: Self.at(660)).reason == .onBattery)
    #expect(policy.decide(snapshot, now: Self.at(661)) == .serve)
  }

  @Test func `a charger that flaps does not bring work back`() {
    var policy = PresencePolicy(settings: OwnerSettings())
    var snapshot = Self.quiet()
    for second in 0..<300 {
      snapshot.isOnBattery = second % 30 == 0
      #expect(policy.decide(snapshot, now: Self.at(second)).level == .away)
    }
  }

  @Test func `the owner is gone only after five minutes without input`() {
    var policy = PresencePolicy(settings: OwnerSettings())
    var snapshot = Self.quiet()
    snapshot.inputIdle = .zero
    _ = policy.decide(snapshot, now: Self.at(0))
    snapshot.inputIdle = .seconds(299)
    #expect(policy.decide(snapshot, now: Self.at(299)).level == .away)
    snapshot.inputIdle = .seconds(300)
    #expect(policy.decide(snapshot, now: Self.at(300)) == .serve)
    snapshot.inputIdle = .seconds(3)
    #expect(policy.decide(snapshot, now: Self.at(301)) == .serve, "between the thresholds")
  }

  @Test func `others' processor time counts after ten seconds and is forgotten after thirty`() {
    var policy = PresencePolicy(settings: OwnerSettings())
    var snapshot = Self.quiet()
    snapshot.othersCPUPermille = 400
    #expect(policy.decide(snapshot, now: Self.at(0)) == .serve)
    #expect(policy.decide(snapshot, now: Self.at(9)) == .serve)
    snapshot.othersCPUPermille = 240
    #expect(policy.decide(snapshot, now: Self.at(10)) == .serve, "the peak was too short")
    snapshot.othersCPUPermille = 400
    _ = policy.decide(snapshot, now: Self.at(11))
    #expect(policy.decide(snapshot, now: Self.at(21)) == ServiceOrder(.polite, .ownerActive))
    snapshot.othersCPUPermille = 200
    #expect(policy.decide(snapshot, now: Self.at(100)).level == .polite)
    snapshot.othersCPUPermille = 100
    _ = policy.decide(snapshot, now: Self.at(101))
    #expect(policy.decide(snapshot, now: Self.at(130)).level == .polite)
    #expect(policy.decide(snapshot, now: Self.at(131)) == .serve)
  }

  @Test func `others' graphics time stops the work after ten seconds, for thirty quiet ones`() {
    var policy = PresencePolicy(settings: OwnerSettings())
    var snapshot = Self.quiet()
    snapshot.othersGPUPermille = 300
    #expect(policy.decide(snapshot, now: Self.at(0)) == .serve)
    #expect(policy.decide(snapshot, now: Self.at(10)) == ServiceOrder(.drain, .ownerActive))
    snapshot.othersGPUPermille = 150
    #expect(policy.decide(snapshot, now: Self.at(100)).level == .drain, "between the thresholds")
    snapshot.othersGPUPermille = 50
    _ = policy.decide(snapshot, now: Self.at(101))
    #expect(policy.decide(snapshot, now: Self.at(131)) == .serve)
  }

  @Test func `the owner's own requests are served unless the machine itself needs rest`() {
    var policy = PresencePolicy(settings: OwnerSettings())
    var snapshot = Self.quiet()
    snapshot.inputIdle = .zero
    _ = policy.decide(snapshot, now: Self.at(0))
    #expect(policy.servesOwner)
    policy.settings.limits.watts = 100
    snapshot.watts = 200
    _ = policy.decide(snapshot, now: Self.at(1))
    _ = policy.decide(snapshot, now: Self.at(11))
    #expect(policy.causes == [.input, .power])
    #expect(policy.servesOwner)
    snapshot.isOnBattery = true
    _ = policy.decide(snapshot, now: Self.at(12))
    #expect(!policy.servesOwner)
  }

  @Test func `input is looked at often only while there is something to give back`() {
    let policy = PresencePolicy(settings: OwnerSettings())
    #expect(policy.inputInterval(.serve) <= .milliseconds(50))
    #expect(policy.inputInterval(ServiceOrder(.away, .ownerActive)) >= .seconds(1))
  }
}

@Suite struct ScheduleWindowTests {
  @Test(arguments: [
    ("mon-fri 22:00-07:00", 1, 22 * 60, true), ("mon-fri 22:00-07:00", 1, 21 * 60 + 59, false),
    ("mon-fri 22:00-07:00", 6, 6 * 60 + 59, true), ("mon-fri 22:00-07:00", 6, 7 * 60, false),
    ("mon-fri 22:00-07:00", 1, 60, false), ("mon-fri 22:00-07:00", 0, 23 * 60, false),
    ("sat,sun 00:00-24:00", 6, 0, true), ("sat,sun 00:00-24:00", 0, 1_439, true),
    ("sat,sun 00:00-24:00", 1, 0, false), ("daily 12:00-13:00", 4, 750, true),
    ("daily 12:00-13:00", 4, 780, false), ("fri-mon 09:00-10:00", 0, 545, true),
    ("fri-mon 09:00-10:00", 2, 545, false), ("daily 08:00-08:00", 2, 0, true),
  ])
  func `the day it starts on owns the night`(
    _ text: String, _ weekday: Int, _ minute: Int, _ isInside: Bool
  ) throws {
    let window = try ScheduleWindow(text)
    #expect(window.contains(LocalTime(weekday: weekday, minute: minute)) == isInside)
  }

  @Test(arguments: [
    "", "mon", "mon 9-10", "moon 09:00-10:00", "mon 09:00", "mon 25:00-26:00", "mon 09:60-10:00",
    "mon-tue-wed 09:00-10:00", "mon 24:00-10:00", "mon 09:00-10:00 x",
  ])
  func `what is no window is refused`(_ text: String) {
    #expect(throws: NodeError.self) { _ = try ScheduleWindow(text) }
  }
}
