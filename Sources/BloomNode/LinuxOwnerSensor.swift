#if os(Linux)
internal import BloomBase
internal import BloomPlatform
internal import Glibc

/// Owner signals of Linux: sysfs, procfs and terminals.
///
/// The root can be a tree of fixtures.
package struct LinuxOwnerSensor: OwnerSensor {
  private let root: String
  private var apps: Set<String>
  private let display: X11Idle?
  private let desktop: DesktopSessions?
  private let graphics: NvidiaManagement?
  private let time: any TimeSource
  private var processors: ProcessorTimes?
  private var energy: EnergyReading?

  /// Creates a sensor.
  ///
  /// - Parameters:
  ///   - root: Prefix of `/sys`, `/proc` and `/dev`; empty for the machine's own.
  ///   - apps: Names of programs to look for, as in `/proc/PID/comm`.
  ///   - environment: Names the owner's display and buses; `nil` to ask neither, nor graphics.
  ///   - time: Clocks.
  init(
    root: String = "", apps: Set<String> = [], environment: [String: String]? = nil,
    time: any TimeSource = SystemTime()
  ) {
    display = environment.flatMap { X11Idle(environment: $0) }
    desktop = environment.map { DesktopSessions(environment: $0) }
    graphics = environment == nil ? nil : NvidiaManagement()
    self.root = root
    self.apps = apps
    self.time = time
  }

  /// Looks for these programs from now on.
  package mutating func watch(apps: Set<String>) { self.apps = apps }

  /// The last input to the owner's display, desktop or any terminal.
  package func inputIdle() -> Duration? {
    let wayland = desktop?.idle(now: time.unixTime())
    // Under Wayland the X server sees only part of the input: the longer of the two is no proof.
    let graphical = [display?.idle(now: time.now()), wayland].compactMap { $0 }.min()
    return [graphical, terminalIdle()].compactMap { $0 }.min()
  }

  /// The youngest access of any terminal, as w(1) does it; the kernel keeps it to 8 s.
  ///
  /// Sees people at a console or over SSH.
  private func terminalIdle() -> Duration? {
    let now = SystemTime().unixTime().seconds
    var youngest: Int64?
    for folder in ["/dev/pts", "/dev"] {
      for name in SystemFolder.names(root + folder) {
        let isTerminal =
          folder == "/dev/pts" ? Int(name) != nil : name.hasPrefix("tty") && name.count > 3
        guard isTerminal, let (accessed, isUsed) = Self.terminal("\(root)\(folder)/\(name)"),
          isUsed
        else { continue }
        youngest = max(youngest ?? .min, accessed)
      }
    }
    return youngest.map { .seconds(max(0, now - $0)) }
  }

  /// Reads power, heat, memory, processors and programs.
  package mutating func read(into snapshot: inout OwnerSnapshot) {
    (snapshot.isOnBattery, snapshot.batteryPercent) = power()
    snapshot.heat = heat()
    snapshot.memory = memory()
    snapshot.othersCPUPermille = othersProcessorTime()
    snapshot.runningApps = apps.isEmpty ? [] : runningApps()
    snapshot.isLocked = desktop?.refresh()
    snapshot.isMetered = desktop?.isMetered()
    snapshot.othersGPUPermille = graphics?.othersPermille(own: Set(ownProcesses() + [getpid()]))
    snapshot.watts = watts()
  }

  /// When a terminal was last used, and whether anybody ever used it.
  private static func terminal(_ path: String) -> (accessed: Int64, isUsed: Bool)? {
    var facts = stat()
    guard unsafe stat(path, &facts) == 0 else { return nil }
    // A terminal that nobody typed on since it was made has all three times equal.
    let accessed = Int64(facts.st_atim.tv_sec)
    return (accessed, accessed != Int64(facts.st_ctim.tv_sec))
  }

  private func text(_ path: String) -> String? {
    guard let text = SmallFile.read(root + path, limitBytes: 1 << 20) else { return nil }
    var end = text.endIndex
    while end > text.startIndex, text[text.index(before: end)].isWhitespace {
      end = text.index(before: end)
    }
    return String(text[..<end])
  }

  // MARK: Power

  /// On battery when one discharges and no charger is plugged in; mice and headsets don't count.
  private func power() -> (isOnBattery: Bool?, percent: Int?) {
    let folder = "/sys/class/power_supply"
    var hasMains = false
    var isDischarging = false
    var percents: [Int] = []
    for name in SystemFolder.names(root + folder) {
      let supply = "\(folder)/\(name)"
      guard text("\(supply)/scope") != "Device" else { continue }
      if text("\(supply)/type") == "Battery" {
        if let percent = text("\(supply)/capacity").flatMap({ Int($0) }) {
          percents.append(percent)
        }
        if text("\(supply)/status") == "Discharging" { isDischarging = true }
      } else if text("\(supply)/online") == "1" {
        hasMains = true
      }
    }
    if percents.isEmpty && !isDischarging { return (false, nil) }
    return (isDischarging && !hasMains, percents.min())
  }

  // MARK: Heat

  /// By each zone's own trip points: passive means that the machine slows itself down.
  private func heat() -> OwnerSnapshot.Heat? {
    let folder = "/sys/class/thermal"
    var hottest: OwnerSnapshot.Heat?
    for zone in SystemFolder.names(root + folder) where zone.hasPrefix("thermal_zone") {
      guard let temperature = text("\(folder)/\(zone)/temp").flatMap({ Int($0) }) else { continue }
      var heat = OwnerSnapshot.Heat.nominal
      for number in 0..<16 {
        let trip = "\(folder)/\(zone)/trip_point_\(number)"
        guard let kind = text("\(trip)_type"),
          let limit = text("\(trip)_temp").flatMap({ Int($0) }), limit > 0
        else { continue }
        switch kind {
        case "critical" where temperature >= limit - 5_000: heat = max(heat, .critical)
        case "hot" where temperature >= limit - 3_000: heat = max(heat, .critical)
        case "passive" where temperature >= limit: heat = max(heat, .serious)
        case "passive" where temperature >= limit - 5_000: heat = max(heat, .fair)
        default: break
        }
      }
      hottest = max(hottest ?? .nominal, heat)
    }
    return hottest
  }

  // MARK: Memory

  /// Pressure stall information over ten seconds, and what is available.
  ///
  /// docs.kernel.org/accounting/psi.html
  private func memory() -> OwnerSnapshot.MemoryPressure? {
    var pressure: OwnerSnapshot.MemoryPressure?
    if let text = text("/proc/pressure/memory") {
      let some = Self.average("some", text)
      let full = Self.average("full", text)
      pressure = full > 1 ? .critical : some > 10 ? .warning : .normal
    }
    guard let text = text("/proc/meminfo") else { return pressure }
    let total = SystemMemory.field("MemTotal", inMeminfo: text) ?? 0
    let available = SystemMemory.field("MemAvailable", inMeminfo: text) ?? 0
    guard total > 0 else { return pressure }
    if available * 20 < total { return .critical }
    return pressure ?? .normal
  }

  /// `avg10` of a line, in percent.
  static func average(_ line: String, _ text: String) -> Double {
    for found in text.split(separator: "\n") where found.hasPrefix(line + " ") {
      for field in found.split(separator: " ") where field.hasPrefix("avg10=") {
        return Double(field.dropFirst(6)) ?? 0
      }
    }
    return 0
  }

  // MARK: Processors

  private mutating func othersProcessorTime() -> Int? {
    guard let text = text("/proc/stat"), var times = ProcessorTimes(procStat: text) else {
      return nil
    }
    times.own = ownTicks()
    defer { processors = times }
    return processors.flatMap { times.othersPermille(since: $0) }
  }

  /// This process, its workers and those it waited for.
  private func ownTicks() -> UInt64 {
    ownProcesses().reduce(ticks("/proc/self/stat")) { $0 + ticks("/proc/\($1)/stat") }
  }

  /// The children of this process: its workers.
  private func ownProcesses() -> [Int32] {
    SystemFolder.names("\(root)/proc/self/task").flatMap { thread in
      (text("/proc/self/task/\(thread)/children") ?? "").split(separator: " ")
        .compactMap { Int32($0) }
    }
  }

  // MARK: Electric power

  /// Mean power of processor packages and graphics since the last look; `nil` where nobody tells.
  ///
  /// docs.kernel.org/power/powercap: the counter wraps; its file belongs to root on most systems.
  private mutating func watts() -> Int? {
    let folder = "/sys/class/powercap"
    var microjoules: UInt64?
    // Packages are `intel-rapl:0`; their parts, with one more number, are in them already.
    for name in SystemFolder.names(root + folder) where name.split(separator: ":").count == 2 {
      guard let value = text("\(folder)/\(name)/energy_uj").flatMap({ UInt64($0) }) else {
        continue
      }
      microjoules = (microjoules ?? 0) &+ value
    }
    let graphics = graphics?.read().compactMap(\.milliwatts).reduce(0, +)
    let now = EnergyReading(at: time.now(), microjoules: microjoules)
    defer { energy = now }
    let processors = energy.flatMap { now.milliwatts(since: $0) }
    if processors == nil, graphics == nil { return nil }
    return ((processors ?? 0) + (graphics ?? 0)) / 1_000
  }

  private func ticks(_ path: String) -> UInt64 {
    // The name in parentheses may hold anything, so fields are counted from its end. proc(5).
    guard let text = text(path), let end = text.lastIndex(of: ")") else { return 0 }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 14 else { return 0 }
    return fields[11...14].reduce(0) { $0 + (UInt64($1) ?? 0) }
  }

  // MARK: Programs

  private func runningApps() -> Set<String> {
    var found: Set<String> = []
    for name in SystemFolder.names("\(root)/proc") where Int(name) != nil {
      if let program = text("/proc/\(name)/comm"), apps.contains(program) { found.insert(program) }
    }
    return found
  }
}

/// The processors' energy counter at one moment.
struct EnergyReading: Sendable, Equatable {
  var at: Instant
  var microjoules: UInt64?

  /// Mean power between two readings; `nil` when the counter wrapped or no time passed.
  func milliwatts(since earlier: EnergyReading) -> Int? {
    guard let now = microjoules, let before = earlier.microjoules, now >= before, at > earlier.at
    else { return nil }
    // Microjoules a microsecond are watts.
    let microseconds = Double((at - earlier.at).wholeNanoseconds) / 1_000
    return Int(clamping: Int64(Double(now - before) / microseconds * 1_000))
  }
}

/// Processor time since the start, in ticks over all cores.
struct ProcessorTimes: Sendable, Equatable {
  var busy: UInt64
  var total: UInt64
  var own: UInt64 = 0

  /// The first line of `/proc/stat`; `nil` when it has another form.
  ///
  /// Guest time is in user time.
  init?(procStat text: String) {
    guard let line = text.split(separator: "\n").first, line.hasPrefix("cpu ") else { return nil }
    let fields = line.split(separator: " ").dropFirst().compactMap { UInt64($0) }
    guard fields.count >= 8 else { return nil }
    total = fields[..<8].reduce(0, +)
    busy = total - fields[3] - fields[4]
  }

  /// What others took of all cores between two readings, 0…1,000; `nil` without time between.
  func othersPermille(since earlier: ProcessorTimes) -> Int? {
    guard total > earlier.total, busy >= earlier.busy else { return nil }
    let mine = own >= earlier.own ? own - earlier.own : 0
    let all = busy - earlier.busy
    let others = all > mine ? all - mine : 0
    return Int(others * 1_000 / (total - earlier.total))
  }
}
#endif
