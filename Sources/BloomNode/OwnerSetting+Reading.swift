internal import BloomBase

extension OwnerSetting {
  /// Reads this key into settings; nothing happens when the file does not have it.
  ///
  /// - Throws: `ConfigurationError` for a value of another kind or outside the range, ``NodeError``
  ///   for a window that is none.
  func read(_ file: Configuration, into settings: inout OwnerSettings) throws {
    switch value {
    case .flag(let path, _):
      if let flag = try file.boolean(name) { settings[keyPath: path] = flag }
    case .number(let path, let range, _):
      if let number = try file.integer(name, in: range) { settings[keyPath: path] = number }
    case .seconds(let path, let range, _):
      if let number = try file.integer(name, in: range) {
        settings[keyPath: path] = .seconds(number)
      }
    case .windows:
      if let texts = try file.strings(name) {
        settings.windows = try texts.map { text throws(NodeError) in try ScheduleWindow(text) }
      }
    case .apps:
      if let names = try file.strings(name) { settings.exclusiveApps = Set(names) }
    case .text(let path):
      if let text = try file.string(name) { settings[keyPath: path] = text }
    case .texts(let path):
      if let texts = try file.strings(name) { settings[keyPath: path] = texts }
    }
  }

  /// Whether a file has this key.
  func isSet(in file: Configuration) throws -> Bool {
    switch value {
    case .flag: try file.boolean(name) != nil
    case .number, .seconds: try file.integer(name) != nil
    case .windows, .apps, .texts: try file.strings(name) != nil
    case .text: try file.string(name) != nil
    }
  }

  /// Makes the user's value at least as strict as the fleet's.
  func tighten(_ settings: inout OwnerSettings, by fleet: OwnerSettings) {
    switch value {
    case .flag(let path, let stricter):
      if fleet[keyPath: path] == stricter { settings[keyPath: path] = stricter }
    case .number(let path, _, let stricter):
      settings[keyPath: path] = Self.stricter(
        settings[keyPath: path], fleet[keyPath: path], stricter, isNone: { $0 == 0 })
    case .seconds(let path, _, let stricter):
      settings[keyPath: path] = Self.stricter(
        settings[keyPath: path], fleet[keyPath: path], stricter, isNone: { $0 == .zero })
    case .windows: settings.fleetWindows = fleet.windows
    case .apps: settings.exclusiveApps.formUnion(fleet.exclusiveApps)
    case .text(let path): settings[keyPath: path] = fleet[keyPath: path]
    case .texts(let path): settings[keyPath: path] = fleet[keyPath: path]
    }
  }

  private static func stricter<T: Comparable>(
    _ user: T, _ fleet: T, _ rule: Stricter, isNone: (T) -> Bool
  ) -> T {
    switch rule {
    case .lower: min(user, fleet)
    case .higher: max(user, fleet)
    case .limit: isNone(user) ? fleet : isNone(fleet) ? user : min(user, fleet)
    case .either: fleet
    }
  }
}

extension OwnerSettings {
  /// Reads the user's file and a fleet's policy, which the user's cannot loosen.
  ///
  /// - Parameters:
  ///   - user: The text of the user's file; `nil` when there is none.
  ///   - fleet: The text of the policy that an administrator locked; `nil` when there is none.
  /// - Throws: `ConfigurationError` or ``NodeError`` that names the file and what is wrong in it.
  package init(user: String?, fleet: String?) throws {
    self.init()
    let known = Set(OwnerSetting.all.map(\.name))
    if let user {
      let file = try Configuration(known: known, file: user, fileName: OwnerSettingsFile.name)
      for setting in OwnerSetting.all { try setting.read(file, into: &self) }
    }
    guard let fleet else { return }
    let file = try Configuration(known: known, file: fleet, fileName: "the fleet's policy")
    var policy = OwnerSettings()
    for setting in OwnerSetting.all { try setting.read(file, into: &policy) }
    // A machine of a fleet is dedicated only when the fleet says so: it would switch off the rest.
    if !policy.isDedicated { isDedicated = false }
    for setting in OwnerSetting.all where try setting.isSet(in: file) {
      setting.tighten(&self, by: policy)
    }
  }

  /// The rule that keeps thresholds apart: a way out that lies beyond the way in would flap.
  ///
  /// - Throws: ``NodeError`` `badConfiguration` naming the pair.
  package func check() throws(NodeError) {
    for (name, enter, leave) in [
      ("cpu", cpuEnterPermille, cpuLeavePermille), ("gpu", gpuEnterPermille, gpuLeavePermille),
    ] where leave >= enter {
      throw NodeError(
        .badConfiguration, "\(name).quiet_percent must be below \(name).busy_percent")
    }
  }
}
