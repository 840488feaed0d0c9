/// What is known of the owner and the machine at one moment; `nil` where the system does not say.
package struct OwnerSnapshot: Sendable, Equatable {
  /// How hot the machine is, by its own limits.
  package enum Heat: UInt8, Sendable, Comparable {
    case nominal = 0
    case fair = 1
    /// The machine slows itself down.
    case serious = 2
    /// The machine is about to stop.
    case critical = 3

    /// Orders by heat.
    package static func < (a: Heat, b: Heat) -> Bool { a.rawValue < b.rawValue }
  }

  /// How short memory is.
  package enum MemoryPressure: UInt8, Sendable, Comparable {
    case normal = 0
    /// Programs wait for memory now and then.
    case warning = 1
    /// Everything waits for memory.
    case critical = 2

    /// Orders by pressure.
    package static func < (a: MemoryPressure, b: MemoryPressure) -> Bool {
      a.rawValue < b.rawValue
    }
  }

  /// The wall clock.
  package var local: LocalTime
  /// Time since the owner's last key, click or touch.
  package var inputIdle: Duration?
  /// Whether the owner's screen is locked.
  package var isLocked: Bool?
  /// Whether the machine lives on its battery.
  package var isOnBattery: Bool?
  /// Charge, 0…100.
  package var batteryPercent: Int?
  /// How hot it is.
  package var heat: Heat?
  /// How short memory is.
  package var memory: MemoryPressure?
  /// Processor time that other programs take, 0…1,000 of all cores.
  package var othersCPUPermille: Int?
  /// Graphics time that other programs take, 0…1,000.
  package var othersGPUPermille: Int?
  /// Names of running programs that the owner listed.
  package var runningApps: Set<String>
  /// Whether the network costs by volume.
  package var isMetered: Bool?

  /// Electric power of processor and graphics, in watts.
  package var watts: Int?
  /// How long requests ran today.
  package var workedToday = Duration.zero
  /// Answer bytes that left the machine today.
  package var uploadedBytesToday = 0

  /// A quiet machine of which only the time is known.
  package init(local: LocalTime) {
    self.local = local
    runningApps = []
  }
}
