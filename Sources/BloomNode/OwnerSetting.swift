internal import BloomBase

/// One key of the settings file: what it means, what it accepts, and which of two values is
/// stricter.
///
/// Reading, the documented file, the manual's table and the merge with a fleet's policy all come
/// from ``all``.
package struct OwnerSetting: Sendable {
  /// Which of two numbers gives the network less.
  package enum Stricter: Sendable {
    case lower
    case higher
    /// The lower one; 0 means no limit.
    case limit
    /// Neither: the fleet's value replaces the user's.
    case either
  }

  /// Where the value lives and what it accepts.
  package enum Value: Sendable {
    /// The stricter truth is named.
    case flag(any WritableKeyPath<OwnerSettings, Bool> & Sendable, stricter: Bool)
    case number(
      any WritableKeyPath<OwnerSettings, Int> & Sendable, ClosedRange<Int>, stricter: Stricter)
    /// Whole seconds.
    case seconds(
      any WritableKeyPath<OwnerSettings, Duration> & Sendable, ClosedRange<Int>, stricter: Stricter)
    /// Hours of service; a fleet's are kept beside the user's.
    case windows
    /// Names of programs; both lists count.
    case apps
    case text(any WritableKeyPath<OwnerSettings, String?> & Sendable)
    case texts(any WritableKeyPath<OwnerSettings, [String]> & Sendable)
  }

  /// The key, with dots for nested objects.
  package let name: String
  /// What it means, one sentence or two; unit and range are in it.
  package let help: String
  let value: Value

  init(_ name: String, _ value: Value, _ help: String) {
    self.name = name
    self.value = value
    self.help = help
  }

  /// Every key, in the order of the documented file.
  package static let all: [OwnerSetting] = [
    OwnerSetting(
      "schedule", .windows,
      "Hours in which the machine serves, by its own clock; empty for always. A window that ends "
        + "before it starts goes over midnight. Example: [\"mon-fri 22:00-07:00\", \"sat,sun "
        + "00:00-24:00\"]. `darkbloom node schedule` edits it."),
    OwnerSetting(
      "dedicated", .flag(\.isDedicated, stricter: false),
      "Whether the machine has no other use: then nothing of its owner is looked at, and only the "
        + "daily limits stop the work."),
    OwnerSetting(
      "apps", .apps,
      "Programs that want the machine for themselves while they run, by the name that the system "
        + "shows for the process. Example: [\"blender\"]."),
    OwnerSetting(
      "battery.serve", .flag(\.servesOnBattery, stricter: false),
      "Whether the machine may serve while it runs on its battery."),
    OwnerSetting(
      "battery.resume_percent", .number(\.batteryLeavePercent, 0...100, stricter: .higher),
      "Charge from which it serves again on mains, in percent."),
    OwnerSetting(
      "battery.resume_after_seconds",
      .seconds(\.batteryLeaveAfter, 0...86_400, stricter: .higher),
      "How long it must have been on mains."),
    OwnerSetting(
      "thermal.stop_when_warm", .flag(\.stopsWhenWarm, stricter: true),
      "Whether work stops already near the heat at which the machine slows itself down; otherwise "
        + "at that heat."),
    OwnerSetting(
      "thermal.resume_after_seconds", .seconds(\.recoverAfter, 0...86_400, stricter: .higher),
      "How long heat and memory must be well before work comes back."),
    OwnerSetting(
      "input.yield", .flag(\.yieldsToInput, stricter: true),
      "Whether a key, click or touch of the owner takes the machine back at once."),
    OwnerSetting(
      "input.resume_after_seconds", .seconds(\.inputLeaveAfter, 10...86_400, stricter: .higher),
      "How long the owner must be away before the machine serves again."),
    OwnerSetting(
      "input.resume_locked_seconds", .seconds(\.lockedLeaveAfter, 2...86_400, stricter: .higher),
      "The same while the screen is locked."),
    OwnerSetting(
      "input.unload", .flag(\.unloadsForOwner, stricter: true),
      "Whether the weights leave memory when the owner comes; otherwise only the work stops."),
    OwnerSetting(
      "cpu.busy_percent", .number(\.cpuEnterPercent, 1...100, stricter: .lower),
      "Processor time of other programs, in percent of all cores, above which one request at a time "
        + "is taken."),
    OwnerSetting(
      "cpu.quiet_percent", .number(\.cpuLeavePercent, 0...100, stricter: .lower),
      "Processor time of other programs below which all slots are offered again."),
    OwnerSetting(
      "gpu.busy_percent", .number(\.gpuEnterPercent, 1...100, stricter: .lower),
      "Graphics time of other programs, in percent, above which the work stops."),
    OwnerSetting(
      "gpu.quiet_percent", .number(\.gpuLeavePercent, 0...100, stricter: .lower),
      "Graphics time of other programs below which it goes on."),
    OwnerSetting(
      "others.busy_seconds", .seconds(\.busyEnterAfter, 0...3_600, stricter: .lower),
      "How long other programs must be busy before it counts."),
    OwnerSetting(
      "others.quiet_seconds", .seconds(\.busyLeaveAfter, 0...3_600, stricter: .higher),
      "How long they must be quiet."),
    OwnerSetting(
      "network.metered", .flag(\.servesOnMetered, stricter: false),
      "Whether to serve over a network that costs by volume."),
    OwnerSetting(
      "network.proxy", .text(\.proxy),
      "HTTP proxy that is asked to CONNECT, as \"http://host:port\"; when it is not set, HTTPS_PROXY "
        + "and NO_PROXY of the environment, for TLS."),
    OwnerSetting(
      "network.coordinators", .texts(\.coordinators),
      "Further coordinators of the same network, tried in order when its own cannot be reached."),
    OwnerSetting(
      "limits.memory_mib", .number(\.limits.memoryMebibytes, 0...(1 << 30), stricter: .limit),
      "Memory for weights and caches, in MiB; 0 leaves a quarter of the memory and at least 8 GiB to "
        + "the owner, on small machines half."),
    OwnerSetting(
      "limits.threads", .number(\.limits.threads, 0...1_024, stricter: .limit),
      "Threads that each worker computes with; 0 for all processors that it may use."),
    OwnerSetting(
      "limits.disk_mib", .number(\.limits.diskMebibytes, 0...(1 << 30), stricter: .limit),
      "Disk for fetched models, in MiB; 0 for no limit."),
    OwnerSetting(
      "limits.upload_mib_per_day",
      .number(\.limits.uploadMebibytesPerDay, 0...(1 << 30), stricter: .limit),
      "Answer bytes that leave the machine a day, in MiB; 0 for no limit."),
    OwnerSetting(
      "limits.hours_per_day", .number(\.limits.hoursPerDay, 0...24, stricter: .limit),
      "Hours a day in which requests run; 0 for no limit."),
    OwnerSetting(
      "limits.watts", .number(\.limits.watts, 0...100_000, stricter: .limit),
      "Power of processor and graphics above which one request at a time is taken, where the system "
        + "tells it; 0 for no limit."),
    OwnerSetting(
      "costs.electricity_micros_per_kwh",
      .number(\.costs.electricityMicrosPerKilowattHour, 0...1_000_000_000, stricter: .either),
      "Price of a kilowatt-hour in millionths of the account's unit, for the net earnings shown."),
    OwnerSetting(
      "costs.idle_watts", .number(\.costs.idleWatts, 0...100_000, stricter: .either),
      "Power of the machine when it idles."),
    OwnerSetting(
      "costs.busy_watts", .number(\.costs.busyWatts, 0...100_000, stricter: .either),
      "Power of the machine when requests run."),
    OwnerSetting(
      "costs.wear_micros_per_hour",
      .number(\.costs.wearMicrosPerHour, 0...1_000_000_000, stricter: .either),
      "Wear of the machine for an hour of work, in millionths of the account's unit."),
  ]
}

extension OwnerSettings {
  var cpuEnterPercent: Int {
    get { cpuEnterPermille / 10 }
    set { cpuEnterPermille = newValue * 10 }
  }
  var cpuLeavePercent: Int {
    get { cpuLeavePermille / 10 }
    set { cpuLeavePermille = newValue * 10 }
  }
  var gpuEnterPercent: Int {
    get { gpuEnterPermille / 10 }
    set { gpuEnterPermille = newValue * 10 }
  }
  var gpuLeavePercent: Int {
    get { gpuLeavePermille / 10 }
    set { gpuLeavePermille = newValue * 10 }
  }
}
