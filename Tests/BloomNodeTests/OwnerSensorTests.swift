#if os(Linux)
import BloomBase
import Glibc
import Testing

@testable import BloomNode

@Suite struct OwnerSensorTests {
  /// Writes a tree of fixture files.
  static func tree(_ files: KeyValuePairs<String, String>) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for (path, text) in files {
      let parts = path.split(separator: "/")
      let parent = ([Substring(folder.path)] + parts.dropLast()).joined(separator: "/")
      try StateFolder(creating: parent).write(String(parts.last ?? ""), Array("\(text)\n".utf8))
    }
    return folder
  }

  static func read(_ files: KeyValuePairs<String, String>) throws -> OwnerSnapshot {
    let folder = try tree(files)
    var sensor = LinuxOwnerSensor(root: folder.path, apps: ["game"])
    var snapshot = OwnerSnapshot(local: LocalTime(weekday: 0, minute: 0))
    sensor.read(into: &snapshot)
    return snapshot
  }

  static let battery = "sys/class/power_supply/BAT0"

  @Test func `a discharging battery without a charger counts`() throws {
    let away = try Self.read([
      "\(Self.battery)/type": "Battery", "\(Self.battery)/status": "Discharging",
      "\(Self.battery)/capacity": "63", "sys/class/power_supply/AC/type": "Mains",
      "sys/class/power_supply/AC/online": "0",
    ])
    #expect(away.isOnBattery == true)
    #expect(away.batteryPercent == 63)
    let mains = try Self.read([
      "\(Self.battery)/type": "Battery", "\(Self.battery)/status": "Charging",
      "\(Self.battery)/capacity": "63", "sys/class/power_supply/AC/type": "Mains",
      "sys/class/power_supply/AC/online": "1",
    ])
    #expect(mains.isOnBattery == false)
  }

  @Test func `a mouse's battery and a machine without one do not count`() throws {
    let mouse = try Self.read([
      "\(Self.battery)/type": "Battery", "\(Self.battery)/status": "Discharging",
      "\(Self.battery)/scope": "Device",
    ])
    #expect(mouse.isOnBattery == false)
    #expect(try Self.read([:]).isOnBattery == false)
  }

  @Test(arguments: [
    (60_000, OwnerSnapshot.Heat.nominal), (91_000, .fair), (95_000, .serious), (98_000, .critical),
  ])
  func `heat is judged by the zone's own trip points`(
    _ temperature: Int, _ heat: OwnerSnapshot.Heat
  ) throws {
    let zone = "sys/class/thermal/thermal_zone0"
    let snapshot = try Self.read([
      "\(zone)/temp": "\(temperature)", "\(zone)/trip_point_0_type": "passive",
      "\(zone)/trip_point_0_temp": "95000", "\(zone)/trip_point_1_type": "critical",
      "\(zone)/trip_point_1_temp": "103000",
    ])
    #expect(snapshot.heat == heat)
  }

  static func stall(_ some: String, _ full: String) -> String {
    "some avg10=\(some) avg60=0.00 avg300=0.00 total=1\n"
      + "full avg10=\(full) avg60=0.00 avg300=0.00 total=1"
  }

  @Test func `memory pressure comes from stalls and from what is available`() throws {
    let plenty = "MemTotal:       1000 kB\nMemAvailable:    900 kB"
    func pressure(_ some: String, _ full: String, _ info: String) throws
      -> OwnerSnapshot.MemoryPressure?
    {
      try Self.read([
        "proc/pressure/memory": Self.stall(some, full), "proc/meminfo": info,
      ]).memory
    }
    #expect(try pressure("0.00", "0.00", plenty) == .normal)
    #expect(try pressure("12.50", "0.00", plenty) == .warning)
    #expect(try pressure("12.50", "1.50", plenty) == .critical)
    #expect(
      try pressure("0.00", "0.00", "MemTotal:       1000 kB\nMemAvailable:     40 kB")
        == .critical)
  }

  @Test func `others' processor time is what this program did not take`() {
    let first = ProcessorTimes(procStat: "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1")
    var second = ProcessorTimes(procStat: "cpu  400 0 150 1300 150 0 0 0 0 0")
    second?.own = 300
    #expect(first != nil)
    // 1,000 ticks passed, 400 of them busy, 300 ours.
    #expect(second?.othersPermille(since: first!) == 100)
    #expect(first?.othersPermille(since: first!) == nil)
    #expect(ProcessorTimes(procStat: "intr 1 2 3") == nil)
  }

  @Test func `a listed program is found by its name`() throws {
    let snapshot = try Self.read(["proc/41/comm": "game", "proc/42/comm": "editor"])
    #expect(snapshot.runningApps == ["game"])
  }

  @Test func `this machine can be read`() {
    var sensor = LinuxOwnerSensor()
    var snapshot = OwnerSnapshot(local: LocalTime(weekday: 0, minute: 0))
    sensor.read(into: &snapshot)
    sensor.read(into: &snapshot)
    #expect(snapshot.memory != nil)
    #expect((snapshot.othersCPUPermille ?? 0) <= 1_000)
  }

  @Test func `the local clock follows summer time`() {
    let before = unsafe getenv("TZ").map { unsafe String(cString: $0) }
    defer {
      if let before { unsafe setenv("TZ", before, 1) } else { unsafe unsetenv("TZ") }
    }
    // The rule itself, so that no zone files are needed: Central Europe.
    unsafe setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1)
    // 2026-03-29T00:59:59Z and one second later: 01:59:59 becomes 03:00:00.
    #expect(LocalClock.local(UnixTime(1_774_745_999)) == LocalTime(weekday: 0, minute: 119))
    #expect(LocalClock.local(UnixTime(1_774_746_000)) == LocalTime(weekday: 0, minute: 180))
    // 2026-10-25T00:59:59Z and one second later: 02:59:59 becomes 02:00:00.
    #expect(LocalClock.local(UnixTime(1_792_889_999)) == LocalTime(weekday: 0, minute: 179))
    #expect(LocalClock.local(UnixTime(1_792_890_000)) == LocalTime(weekday: 0, minute: 120))
  }
}
#endif
