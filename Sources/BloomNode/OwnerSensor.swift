internal import BloomPlatform

/// Reads what the machine says about its owner; calls block for a moment.
package protocol OwnerSensor: Sendable {
  /// Time since the owner's last input; cheap, asked often. `nil` when the system does not say.
  func inputIdle() -> Duration?
  /// Fills in everything else that can be known.
  mutating func read(into snapshot: inout OwnerSnapshot)
}

/// The sensor of the system that this program was built for.
package enum SystemSensor: Sendable {
  /// A sensor of this machine.
  package static func make(settings: OwnerSettings) -> any OwnerSensor {
    #if os(macOS)
    MacOwnerSensor()
    #else
    LinuxOwnerSensor(
      apps: settings.exclusiveApps, environment: ProcessEnvironment.current)
    #endif
  }
}
