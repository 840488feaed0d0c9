internal import BloomBase
internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The owner's settings on the disk: one file of the user's, one that an administrator may lock.
package struct OwnerSettingsFile: Sendable {
  /// The file's name in the user's folder of settings.
  package static let name = "node.json5"

  /// Where an administrator locks the policy of managed machines.
  package static var fleetPath: String {
    #if os(macOS)
    "/Library/Application Support/Darkbloom/node.json5"
    #else
    "/etc/darkbloom/node.json5"
    #endif
  }

  private static let limitBytes = 1 << 18

  /// The user's file.
  package let path: String
  /// The locked one.
  package let fleetPath: String

  /// Names both files; neither need exist.
  package init(folder: String, fleetPath: String = Self.fleetPath) {
    path = "\(folder)/\(Self.name)"
    self.fleetPath = fleetPath
  }

  /// Whether the machine belongs to a fleet.
  package var isManaged: Bool { unsafe access(fleetPath, F_OK) == 0 }

  /// Reads both files; defaults where they say nothing.
  ///
  /// A policy that cannot be read is an error: a machine of a fleet does not serve without it.
  /// - Throws: `ConfigurationError`, ``NodeError`` or `PrivateFile.Failure` that says what to do.
  package func load() throws -> OwnerSettings {
    var facts = stat()
    if unsafe stat(fleetPath, &facts) == 0, facts.st_mode & 0o022 != 0 {
      throw NodeError(
        .badConfiguration, "others can change the fleet's policy; run: chmod 644 \(fleetPath)")
    }
    let settings = try OwnerSettings(user: try text(path), fleet: try text(fleetPath))
    try settings.check()
    return settings
  }

  /// Writes a file in which every key stands with its meaning and its default, unless there is one.
  package func writeTemplate() throws {
    guard try text(path) == nil else { return }
    try write(Self.template())
  }

  /// Replaces the hours of service and leaves everything else in the file as it is.
  package func setWindows(_ windows: [ScheduleWindow]) throws {
    let old = try text(path) ?? Self.template()
    let list = windows.map { "\"\($0)\"" }.joined(separator: ", ")
    let new = try JSON5Edit.replacing("schedule", with: "[\(list)]", in: old)
    // What was written can be read, or nothing is written.
    _ = try OwnerSettings(user: new, fleet: nil)
    try write(new)
  }

  private func write(_ text: String) throws {
    let parts = path.split(separator: "/").dropLast().joined(separator: "/")
    try PrivateFile.makeFolder("/" + parts)
    try PrivateFile.write(Array(text.utf8), to: path)
  }

  private func text(_ path: String) throws -> String? {
    try PrivateFile.read(path, limitBytes: Self.limitBytes).map {
      String(decoding: $0, as: UTF8.self)
    }
  }

  /// The documented file with every default.
  package static func template() -> String {
    var lines = [
      "// What the owner of this machine wants of its Darkbloom node. Every value here is the default;",
      "// a fleet's policy in \(fleetPath) can only make it stricter.",
      "{",
    ]
    let defaults = OwnerSettings()
    var group: Substring?
    for setting in OwnerSetting.all {
      let parts = setting.name.split(separator: ".")
      let inner = parts.count > 1 ? parts.first : nil
      if inner != group {
        if group != nil { lines.append("  },") }
        if let inner { lines.append("  \(inner): {") }
        group = inner
      }
      let indent = inner == nil ? "  " : "    "
      lines += wrapped(setting.help, indent: indent + "// ")
      let (value, isNamed) = setting.written(defaults)
      lines.append("\(indent)\(isNamed ? "" : "// ")\(parts.last ?? ""): \(value),")
    }
    if group != nil { lines.append("  },") }
    return (lines + ["}", ""]).joined(separator: "\n")
  }

  private static func wrapped(_ text: String, indent: String) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, indent.count + line.count + word.count + 1 > 96 {
        lines.append(indent + line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    return lines + [indent + line]
  }
}

extension OwnerSetting {
  /// The value as it stands in a file, and whether it can stand there.
  func written(_ settings: OwnerSettings) -> (text: String, isNamed: Bool) {
    switch value {
    case .flag(let path, _): ("\(settings[keyPath: path])", true)
    case .number(let path, _, _): ("\(settings[keyPath: path])", true)
    case .seconds(let path, _, _): ("\(settings[keyPath: path].components.seconds)", true)
    case .windows: (Self.list(settings.windows.map(\.description)), true)
    case .apps: (Self.list(settings.exclusiveApps.sorted()), true)
    case .text(let path):
      settings[keyPath: path].map { ("\"\($0)\"", true) } ?? ("\"http://host:port\"", false)
    case .texts(let path): (Self.list(settings[keyPath: path]), true)
    }
  }

  private static func list(_ texts: [String]) -> String {
    "[" + texts.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
  }
}
