/// Reads what the machine says about its owner; calls block for a moment.
package protocol OwnerSensor: Sendable {
  /// Time since the owner's last input; cheap, asked often. `nil` when the system does not say.
  func inputIdle() -> Duration?
  /// Fills in everything else that can be known.
  mutating func read(into snapshot: inout OwnerSnapshot)
  /// Other programs that want the machine for themselves from now on, by name.
  mutating func watch(apps: Set<String>)
}

extension OwnerSensor {
  /// Nothing, for sensors that look at no programs.
  package mutating func watch(apps: Set<String>) {}
}

/// The sensor of the system that this program was built for.
package enum SystemSensor: Sendable {
  /// A sensor of this machine.
  ///
  /// - Parameters:
  ///   - settings: Names the programs to look for.
  ///   - environment: Names display and buses.
  /// - Returns: A sensor that sees what this system tells.
  package static func make(
    settings: OwnerSettings, environment: [String: String]
  ) -> any OwnerSensor {
    #if os(macOS)
    MacOwnerSensor()
    #else
    LinuxOwnerSensor(apps: settings.exclusiveApps, environment: environment)
    #endif
  }
}
