/// Why a configuration was refused; exit code 78.
public struct ConfigurationError: PublicError, Equatable, CustomStringConvertible {
  /// What is wrong and where; holds names of settings, never values.
  public let publicDescription: String

  /// Wraps a sentence.
  public init(_ publicDescription: String) { self.publicDescription = publicDescription }

  /// The sentence.
  public var description: String { publicDescription }
}

/// The settings of a program, each from the first place that has it: flag, environment, file.
///
/// Names have dots for nested objects: `listen.port` is `--listen-port` as a flag,
/// `DARKBLOOM_LISTEN_PORT` in the environment and `{listen: {port: …}}` in the file.
///
/// A name that is no setting's is refused: in the file, among the flags, and in the environment
/// where its beginning says for whom it is meant.
public struct Configuration: Sendable {
  private let flags: [String: String]
  private let environment: [String: String]
  private let file: [String: JSON5]

  /// Checks that file, flags and the variables of groups name known settings only.
  ///
  /// - Parameters:
  ///   - known: The full names of all settings.
  ///   - flags: Values by setting name, from the command line.
  ///   - environment: The process's environment.
  ///   - file: The text of a JSON5 file; `nil` when there is none.
  ///   - fileName: How errors call the file.
  /// - Throws: ``ConfigurationError`` that names the file, the line and the nearest known setting.
  public init(
    known: Set<String>, flags: [String: String] = [:], environment: [String: String] = [:],
    file: String? = nil, fileName: String = "configuration"
  ) throws(ConfigurationError) {
    self.flags = flags
    self.environment = environment
    for name in flags.keys.sorted() where !known.contains(name) {
      throw Self.unknown(name, "flags", known)
    }
    // `DARKBLOOM_TLS_` begins the variables of `tls` and no others.
    let groups = Set(known.compactMap { $0.split(separator: ".").dropLast().first })
    for group in groups.sorted() {
      let prefix = Self.variable(String(group)) + "_"
      let variables = Set(known.map { Self.variable($0) }.filter { $0.hasPrefix(prefix) })
      try Self.checkVariables(prefix, in: environment, known: variables)
    }
    var values: [String: JSON5] = [:]
    if let file {
      do throws(ConfigurationError) {
        let document = try JSON5(parsing: file)
        guard case .object(let members) = document.kind else {
          throw ConfigurationError("line \(document.line): the document must be an object")
        }
        try Self.flatten(members, "", known, &values)
      } catch {
        throw ConfigurationError("\(fileName), \(error.publicDescription)")
      }
    }
    self.file = values
  }

  /// The name of a setting's environment variable.
  public static func variable(_ name: String) -> String {
    "DARKBLOOM_"
      + String(name.uppercased().map { $0 == "." || $0 == "-" ? "_" : $0 })
  }

  /// Refuses variables that are no setting's: a misspelt one must not pass for one that is obeyed.
  ///
  /// - Parameters:
  ///   - prefix: What the variables of these settings begin with, and no others.
  ///   - environment: The process's environment.
  ///   - known: All variables with that prefix.
  /// - Throws: ``ConfigurationError`` that names the variable and the nearest known one.
  public static func checkVariables(
    _ prefix: String, in environment: [String: String], known: Set<String>
  ) throws(ConfigurationError) {
    for name in environment.keys.sorted() where name.hasPrefix(prefix) && !known.contains(name) {
      let rest = String(name.dropFirst(prefix.count))
      let others = known.map { String($0.dropFirst(prefix.count)) }.sorted()
      let nearest = NearestName.find(rest, in: others).map { ", did you mean \(prefix + $0)?" }
      throw ConfigurationError("\(name): there is no such setting\(nearest ?? "")")
    }
  }

  /// A text; `nil` when no place has the setting.
  ///
  /// - Throws: ``ConfigurationError`` when the file has another kind of value.
  public func string(_ name: String) throws(ConfigurationError) -> String? {
    if let text = outside(name) { return text }
    guard let value = file[name] else { return nil }
    guard case .string(let text) = value.kind else { throw wrong(name, value, "a text") }
    return text
  }

  /// A whole number in a range; `nil` when no place has the setting.
  ///
  /// - Throws: ``ConfigurationError`` when it is not a whole number or outside the range.
  public func integer(
    _ name: String, in range: ClosedRange<Int> = Int.min...Int.max
  ) throws(ConfigurationError) -> Int? {
    if let text = outside(name) {
      guard let value = Int(text) else { throw wrong(name, nil, "a whole number") }
      return try check(value, name, range, nil)
    }
    guard let value = file[name] else { return nil }
    guard case .integer(let number) = value.kind else {
      throw wrong(name, value, "a whole number")
    }
    return try check(Int(number), name, range, value)
  }

  /// A truth, written `true`/`false`, `1`/`0`, `yes`/`no`, `on`/`off` outside the file.
  ///
  /// - Throws: ``ConfigurationError`` when it is none of these.
  public func boolean(_ name: String) throws(ConfigurationError) -> Bool? {
    if let text = outside(name) {
      switch text.lowercased() {
      case "true", "1", "yes", "on": return true
      case "false", "0", "no", "off": return false
      default: throw wrong(name, nil, "true or false")
      }
    }
    guard let value = file[name] else { return nil }
    guard case .boolean(let flag) = value.kind else { throw wrong(name, value, "true or false") }
    return flag
  }

  /// A list of texts, separated by commas outside the file.
  ///
  /// - Throws: ``ConfigurationError`` when the file has another kind of value.
  public func strings(_ name: String) throws(ConfigurationError) -> [String]? {
    if let text = outside(name) { return text.split(separator: ",").map(String.init) }
    guard let value = file[name] else { return nil }
    guard case .array(let items) = value.kind else { throw wrong(name, value, "a list of texts") }
    var texts: [String] = []
    for item in items {
      guard case .string(let text) = item.kind else { throw wrong(name, item, "a list of texts") }
      texts.append(text)
    }
    return texts
  }

  private func outside(_ name: String) -> String? {
    flags[name] ?? environment[Self.variable(name)]
  }

  private func check(
    _ value: Int, _ name: String, _ range: ClosedRange<Int>, _ place: JSON5?
  ) throws(ConfigurationError) -> Int {
    guard range.contains(value) else {
      throw wrong(name, place, "in \(range.lowerBound)…\(range.upperBound)")
    }
    return value
  }

  private func wrong(_ name: String, _ value: JSON5?, _ wanted: String) -> ConfigurationError {
    let place =
      if let value {
        "line \(value.line): \(name)"
      } else if flags[name] != nil {
        "--" + name.map { $0 == "." ? "-" : String($0) }.joined()
      } else {
        Self.variable(name)
      }
    return ConfigurationError("\(place) must be \(wanted)")
  }

  private static func flatten(
    _ members: [JSON5.Member], _ prefix: String, _ known: Set<String>,
    _ values: inout [String: JSON5]
  ) throws(ConfigurationError) {
    for member in members {
      let name = prefix + member.name
      if known.contains(name) {
        values[name] = member.value
      } else if case .object(let inner) = member.value.kind,
        known.contains(where: { $0.hasPrefix(name + ".") })
      {
        try flatten(inner, name + ".", known, &values)
      } else {
        throw unknown(name, "line \(member.line)", known)
      }
    }
  }

  private static func unknown(
    _ name: String, _ place: String, _ known: Set<String>
  ) -> ConfigurationError {
    let nearest = NearestName.find(name, in: known.sorted()).map { ", did you mean \($0)?" } ?? ""
    return ConfigurationError("\(place): there is no setting \(name)\(nearest)")
  }
}
