import BloomBase
import BloomPlatform
import BloomWire
import Testing

@testable import BloomNode

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct OwnerSettingsTests {
  @Test func `the documented file holds every key, and reading it changes nothing`() throws {
    let text = OwnerSettingsFile.template()
    for setting in OwnerSetting.all {
      let last = setting.name.split(separator: ".").last.map(String.init) ?? ""
      #expect(text.contains("\(last):"), "\(setting.name) is missing")
    }
    #expect(try OwnerSettings(user: text, fleet: nil) == OwnerSettings())
  }

  @Test func `the manual names every key`() throws {
    let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    let manual = try #require(SmallFile.read("\(root)/docs/node.md", limitBytes: 1 << 20))
    for setting in OwnerSetting.all {
      #expect(manual.contains("| `\(setting.name)` |"), "\(setting.name) is missing")
    }
  }

  @Test func `every key is read into its own place`() throws {
    let text = """
      { schedule: ["daily 20:00-08:00"], dedicated: true, apps: ["game"],
        battery: {serve: true, resume_percent: 50, resume_after_seconds: 5},
        thermal: {stop_when_warm: true, resume_after_seconds: 6},
        input: {yield: false, resume_after_seconds: 30, resume_locked_seconds: 4, unload: false},
        cpu: {busy_percent: 60, quiet_percent: 40}, gpu: {busy_percent: 70, quiet_percent: 30},
        others: {busy_seconds: 1, quiet_seconds: 2},
        network: {metered: true, proxy: "http://p:1", coordinators: ["https://b"]},
        limits: {memory_mib: 1, threads: 2, disk_mib: 3, upload_mib_per_day: 4, hours_per_day: 5,
          watts: 6},
        costs: {electricity_micros_per_kwh: 7, idle_watts: 8, busy_watts: 9,
          wear_micros_per_hour: 10} }
      """
    let read = try OwnerSettings(user: text, fleet: nil)
    let written = OwnerSetting.all.map { $0.written(read).text }
    let defaults = OwnerSetting.all.map { $0.written(OwnerSettings()).text }
    for (index, setting) in OwnerSetting.all.enumerated() {
      #expect(written[index] != defaults[index], "\(setting.name) was not read")
    }
  }

  @Test(arguments: [
    ("{limits: {wats: 3}}", "limits.watts"), ("{cpu: {busy_percent: 0}}", "cpu.busy_percent"),
    ("{input: {yield: 1}}", "input.yield"), ("{schedule: [\"always\"]}", "mon-fri"),
    ("[]", "object"), ("{", "line 1"),
  ])
  func `a mistake is named`(_ text: String, _ wanted: String) {
    do {
      _ = try OwnerSettings(user: text, fleet: nil)
      Issue.record("\(text) was read")
    } catch {
      #expect(error.safeDescription.contains(wanted), "\(error.safeDescription)")
    }
  }

  @Test func `a fleet's policy cannot be loosened, and can be tightened`() throws {
    let fleet = """
      { schedule: ["mon-fri 20:00-06:00"], apps: ["cad"], battery: {serve: false},
        input: {yield: true, resume_after_seconds: 600}, cpu: {busy_percent: 20, quiet_percent: 10},
        limits: {memory_mib: 4096, hours_per_day: 8} }
      """
    let loose = """
      { dedicated: true, apps: [], battery: {serve: true}, network: {metered: true},
        input: {yield: false, resume_after_seconds: 10}, cpu: {busy_percent: 99, quiet_percent: 98},
        limits: {memory_mib: 999999, hours_per_day: 24} }
      """
    let held = try OwnerSettings(user: loose, fleet: fleet)
    #expect(!held.isDedicated && !held.servesOnBattery && held.yieldsToInput)
    #expect(held.inputLeaveAfter == .seconds(600))
    #expect(held.cpuEnterPermille == 200 && held.cpuLeavePermille == 100)
    #expect(held.limits.memoryMebibytes == 4_096 && held.limits.hoursPerDay == 8)
    #expect(held.exclusiveApps == ["cad"])
    #expect(held.fleetWindows.map(\.description) == ["mon,tue,wed,thu,fri 20:00-06:00"])
    // What the policy does not name stays the user's.
    #expect(held.servesOnMetered)
    let strict = """
      { input: {resume_after_seconds: 900}, limits: {memory_mib: 512, hours_per_day: 2}, apps: ["x"] }
      """
    let both = try OwnerSettings(user: strict, fleet: fleet)
    #expect(both.inputLeaveAfter == .seconds(900))
    #expect(both.limits.memoryMebibytes == 512 && both.limits.hoursPerDay == 2)
    #expect(both.exclusiveApps == ["x", "cad"])
    // No limit of the user's own is the loosest of all.
    #expect(try OwnerSettings(user: "{}", fleet: fleet).limits.hoursPerDay == 8)
  }

  @Test func `a policy that cannot be read, or that others can change, stops the node`() throws {
    let folder = try TemporaryFolder()
    let file = OwnerSettingsFile(folder: folder.path, fleetPath: "\(folder.path)/fleet")
    #expect(try file.load() == OwnerSettings())
    try StateFolder(creating: folder.path).write("fleet", Array("{broken".utf8))
    #expect(throws: (any Error).self) { try file.load() }
    try StateFolder(creating: folder.path).write("fleet", Array("{}".utf8))
    #expect(try file.load() == OwnerSettings())
    try #require(unsafe chmod("\(folder.path)/fleet", 0o666) == 0)
    #expect(throws: NodeError.self) { try file.load() }
  }

  @Test func `thresholds that would flap are refused`() throws {
    let settings = try OwnerSettings(
      user: "{cpu: {busy_percent: 20, quiet_percent: 20}}", fleet: nil)
    #expect(throws: NodeError.self) { try settings.check() }
  }

  @Test func `a change of the hours leaves comments and other keys alone`() throws {
    let folder = try TemporaryFolder()
    let file = OwnerSettingsFile(folder: folder.path, fleetPath: "/nowhere")
    let text = """
      // mine {schedule: [1]}
      { "apps": ["a{b"], /* schedule: */ schedule: [ // nights
          "daily 20:00-08:00",
        ], limits: {watts: 9}, }
      """
    try StateFolder(creating: folder.path).write(OwnerSettingsFile.name, Array(text.utf8))
    let night = try ScheduleWindow("fri-mon 22:30-06:15")
    try file.setWindows([night])
    let new = try #require(try StateFolder(existing: folder.path).read(OwnerSettingsFile.name))
    let changed = String(decoding: new, as: UTF8.self)
    #expect(changed.hasPrefix("// mine {schedule: [1]}\n{ \"apps\": [\"a{b\"], /* schedule: */ "))
    let settings = try file.load()
    #expect(settings.windows == [night])
    #expect(settings.limits.watts == 9 && settings.exclusiveApps == ["a{b"])
    try file.setWindows([])
    #expect(try file.load().windows.isEmpty)
  }

  @Test func `a file without hours gets them`() throws {
    for text in ["{}", "{ limits: {watts: 1} }", "{ limits: {schedule_: 1, watts: 1} }"] {
      guard (try? OwnerSettings(user: text, fleet: nil)) != nil else { continue }
      let new = try JSON5Edit.replacing("schedule", with: "[\"daily 00:00-24:00\"]", in: text)
      #expect(try OwnerSettings(user: new, fleet: nil).windows.count == 1, "\(new)")
    }
  }

  @Test(arguments: ["daily 00:00-24:00", "sun,sat 22:05-06:00", "wed 09:00-17:30"])
  func `a window is written as it is read`(_ text: String) throws {
    let window = try ScheduleWindow(text)
    #expect(try ScheduleWindow("\(window)") == window)
  }

  @Test func `a small machine gives half, a large one keeps a quarter`() {
    let limits = OwnerSettings.Limits()
    #expect(limits.memoryBytes(total: 8 << 30) == 4 << 30)
    #expect(limits.memoryBytes(total: 16 << 30) == 8 << 30)
    #expect(limits.memoryBytes(total: 64 << 30) == 48 << 30)
    var named = OwnerSettings.Limits()
    named.memoryMebibytes = 1 << 20
    #expect(named.memoryBytes(total: 8 << 30) == 8 << 30)
  }
}

@Suite struct OwnerRulesTests {
  /// A policy that remembers, for use inside expectations.
  final class Policy {
    private var policy: PresencePolicy
    init(settings: OwnerSettings) { policy = PresencePolicy(settings: settings) }
    func decide(_ snapshot: OwnerSnapshot, now: Instant) -> ServiceOrder {
      policy.decide(snapshot, now: now)
    }
    func inputInterval(_ order: ServiceOrder) -> Duration { policy.inputInterval(order) }
  }

  static func snapshot(_ change: (inout OwnerSnapshot) -> Void) -> OwnerSnapshot {
    var snapshot = OwnerSnapshot(local: LocalTime(weekday: 1, minute: 720))
    change(&snapshot)
    return snapshot
  }
  static func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

  @Test func `a used-up day ends at the next`() {
    var settings = OwnerSettings()
    settings.limits.hoursPerDay = 1
    settings.limits.uploadMebibytesPerDay = 1
    let policy = Policy(settings: settings)
    let full = Self.snapshot { $0.workedToday = .seconds(3_600) }
    #expect(policy.decide(full, now: Self.at(1)).reason == .ownerCap)
    #expect(policy.decide(full, now: Self.at(1)).level == .away)
    #expect(policy.decide(Self.snapshot { _ in }, now: Self.at(2)) == .serve)
    let sent = Self.snapshot { $0.uploadedBytesToday = 1 << 20 }
    #expect(policy.decide(sent, now: Self.at(3)).reason == .ownerCap)
  }

  @Test func `behind a locked screen the owner is away sooner`() {
    let policy = Policy(settings: OwnerSettings())
    let typing = Self.snapshot { $0.inputIdle = .zero }
    #expect(policy.decide(typing, now: Self.at(1)).level == .away)
    func idle(_ seconds: Int, _ isLocked: Bool) -> OwnerSnapshot {
      Self.snapshot {
        $0.inputIdle = .seconds(seconds)
        $0.isLocked = isLocked
      }
    }
    #expect(policy.decide(idle(20, false), now: Self.at(21)).level == .away)
    #expect(policy.decide(idle(21, true), now: Self.at(22)).level == .serve)
  }

  @Test func `power over its limit makes polite, and comes back slowly`() {
    var settings = OwnerSettings()
    settings.limits.watts = 50
    let policy = Policy(settings: settings)
    let hot = Self.snapshot { $0.watts = 60 }
    let cool = Self.snapshot { $0.watts = 40 }
    #expect(policy.decide(hot, now: Self.at(0)) == .serve)
    #expect(policy.decide(hot, now: Self.at(10)).level == .polite)
    #expect(policy.decide(cool, now: Self.at(20)).level == .polite)
    #expect(policy.decide(cool, now: Self.at(330)) == .serve)
  }

  @Test func `a dedicated machine looks at nothing but its daily limits`() {
    var settings = OwnerSettings()
    settings.isDedicated = true
    settings.limits.hoursPerDay = 1
    let policy = Policy(settings: settings)
    let busy = Self.snapshot {
      $0.inputIdle = .zero
      $0.isOnBattery = true
      $0.heat = .critical
      $0.memory = .critical
    }
    #expect(policy.decide(busy, now: Self.at(1)) == .serve)
    #expect(policy.inputInterval(.serve) == .seconds(5))
    let full = Self.snapshot { $0.workedToday = .seconds(3_600) }
    #expect(policy.decide(full, now: Self.at(2)).reason == .ownerCap)
  }

  @Test func `both the owner's and the fleet's hours must agree`() throws {
    var settings = OwnerSettings()
    settings.windows = [try ScheduleWindow("daily 10:00-14:00")]
    settings.fleetWindows = [try ScheduleWindow("daily 12:00-20:00")]
    for (minute, isInside) in [
      (660, false), (720, true), (839, true), (840, false), (1_000, false),
    ] {
      let policy = Policy(settings: settings)
      let now = OwnerSnapshot(local: LocalTime(weekday: 3, minute: minute))
      #expect((policy.decide(now, now: Self.at(1)) == .serve) == isInside, "\(minute)")
    }
  }

  @Test func `the machine is kept awake only while requests run, and on mains`() {
    var rule = SleepRule()
    func decide(isWorking: Bool, isOnBattery: Bool?) -> SleepRule.Step? {
      rule.decide(isWorking: isWorking, isOnBattery: isOnBattery)
    }
    #expect(decide(isWorking: false, isOnBattery: false) == nil)
    #expect(decide(isWorking: true, isOnBattery: false) == .hold)
    #expect(decide(isWorking: true, isOnBattery: false) == nil)
    #expect(decide(isWorking: true, isOnBattery: true) == .release)
    #expect(decide(isWorking: true, isOnBattery: nil) == .hold)
    #expect(decide(isWorking: false, isOnBattery: nil) == .release)
  }
}
