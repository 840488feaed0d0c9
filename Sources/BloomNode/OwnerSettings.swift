internal import BloomBase

/// What an owner wants of a machine that serves; every threshold has one to enter and one to leave.
package struct OwnerSettings: Sendable, Equatable {
  /// What the network may use up; 0 means no limit of its own.
  package struct Limits: Sendable, Equatable {
    /// Memory for weights and caches of all workers, in MiB; 0 for ``memoryBytes(total:)``'s
    /// choice.
    package var memoryMebibytes = 0
    /// Threads that each worker computes with; 0 for all processors that it may use.
    package var threads = 0
    /// Disk for fetched models, in MiB.
    package var diskMebibytes = 0
    /// Answer bytes that leave the machine a day, in MiB.
    package var uploadMebibytesPerDay = 0
    /// Hours a day in which requests run.
    package var hoursPerDay = 0
    /// Electric power of processor and graphics above which the node is polite.
    package var watts = 0

    /// No limits but the machine's own.
    package init() {}

    /// Bytes that weights and caches may take on a machine with so much memory.
    ///
    /// Unless the owner says otherwise a quarter of the memory, and at least 8 GiB, stay the
    /// owner's; a small machine gives half.
    package func memoryBytes(total: UInt64) -> UInt64 {
      if memoryMebibytes > 0 { return min(UInt64(memoryMebibytes) << 20, total) }
      let kept = max(total / 4, 8 << 30)
      return max(total / 2, total > kept ? total - kept : 0)
    }
  }

  /// What running costs the owner, by the owner's own figures; they only change what is shown.
  package struct Costs: Sendable, Equatable {
    /// Price of a kilowatt-hour.
    package var electricityMicrosPerKilowattHour = 0
    /// Power of the machine when it idles, in watts.
    package var idleWatts = 0
    /// Power of the machine when requests run, in watts.
    package var busyWatts = 0
    /// Wear of the machine for an hour of work.
    package var wearMicrosPerHour = 0

    /// Nothing is known, so nothing is taken off.
    package init() {}
  }

  /// Hours of service; empty for always.
  package var windows: [ScheduleWindow] = []
  /// Hours that a fleet's policy allows, beside the owner's; empty for always.
  package var fleetWindows: [ScheduleWindow] = []
  /// Whether the machine has no other use: signals of an owner are not looked at.
  package var isDedicated = false
  /// Programs that want the machine for themselves, by name.
  package var exclusiveApps: Set<String> = []
  /// Whether the machine may serve on its battery; never, when off.
  package var servesOnBattery = false
  /// The charge from which it serves again on mains, in percent.
  package var batteryLeavePercent = 80
  /// How long it must have been on mains.
  package var batteryLeaveAfter = Duration.seconds(60)
  /// Whether work stops already when the machine is warm, before it slows itself down.
  package var stopsWhenWarm = false
  /// Whether keys, clicks and touches of the owner take the machine back.
  package var yieldsToInput = true
  /// How long the owner must be away before the machine serves again.
  package var inputLeaveAfter = Duration.seconds(300)
  /// The same behind a locked screen.
  package var lockedLeaveAfter = Duration.seconds(15)
  /// Whether the weights leave memory when the owner comes; otherwise only the work stops.
  package var unloadsForOwner = true
  /// Others' processor time, of 1,000, that makes the node polite after ``busyEnterAfter``.
  package var cpuEnterPermille = 250
  /// Below it the node is at ease again.
  package var cpuLeavePermille = 150
  /// Others' graphics time, of 1,000, that stops the work.
  package var gpuEnterPermille = 200
  /// Below it the work may go on.
  package var gpuLeavePermille = 100
  /// How long others must be busy.
  package var busyEnterAfter = Duration.seconds(10)
  /// How long they must be quiet.
  package var busyLeaveAfter = Duration.seconds(30)
  /// How long heat and memory must be well before work comes back.
  package var recoverAfter = Duration.seconds(60)
  /// How long the power must be below its limit before the node is at ease again.
  package var powerLeaveAfter = Duration.seconds(300)
  /// Whether the node serves over a network that costs by volume.
  package var servesOnMetered = false
  /// How long running answers may take when nobody is in a hurry: pause, schedule.
  package var unhurried = Duration.seconds(20)
  /// What may be used up.
  package var limits = Limits()
  /// What it costs.
  package var costs = Costs()
  /// The HTTP proxy that is asked to CONNECT, `http://host:port`; the environment's when `nil`.
  package var proxy: String?
  /// Further coordinators, tried in order when the network's own cannot be reached.
  package var coordinators: [String] = []

  /// The defaults above.
  package init() {}
}
