/// A command line that cannot be understood; exit code 2.
public struct UsageError: PublicError, Equatable, CustomStringConvertible {
  /// What is wrong and what to type instead.
  public let publicDescription: String

  /// Wraps a sentence.
  public init(_ publicDescription: String) { self.publicDescription = publicDescription }

  /// The sentence.
  public var description: String { publicDescription }
}

/// The exit codes of all our programs, after sysexits(3).
public enum ExitCode: Int32, Sendable {
  /// Done.
  case done = 0
  /// Failed.
  case failed = 1
  /// The command line is wrong.
  case badUsage = 2
  /// A service that is needed is not there.
  case unavailable = 69
  /// Try again later.
  case tryAgain = 75
  /// The configuration is wrong.
  case badConfiguration = 78
}

/// What a command line asks for.
public struct ParsedCommand: Sendable, Equatable {
  /// The subcommands, in order, without the program's name.
  public fileprivate(set) var path: [String] = []
  /// The arguments that are not options.
  public fileprivate(set) var arguments: [String] = []
  fileprivate var values: [String: [String]] = [:]
  /// The variables that stood in for options.
  fileprivate var variables: [String: String] = [:]

  /// Whether a flag was given.
  public func has(_ option: String) -> Bool { values[option] != nil }

  /// The last value of an option; from its environment variable when it was not given.
  public func value(_ option: String) -> String? { values[option]?.last }

  /// All values of an option that may be repeated.
  public func all(_ option: String) -> [String] { values[option] ?? [] }

  /// How errors call an option: by its variable when the value came from there.
  public func place(of option: String) -> String { variables[option] ?? "--\(option)" }

  /// A value as a whole number; `nil` when the option was not given.
  ///
  /// - Throws: ``UsageError`` when it is not a whole number in the range.
  public func integer(
    _ option: String, in range: ClosedRange<Int> = Int.min...Int.max
  ) throws(UsageError) -> Int? {
    guard let text = value(option) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      let bounds = range == Int.min...Int.max ? "" : " in \(range.lowerBound)…\(range.upperBound)"
      throw UsageError("\(place(of: option)) must be a whole number\(bounds)")
    }
    return number
  }
}

/// Reads command lines by a ``CommandSpec``.
public enum CommandParser: Sendable {
  /// What the program should do.
  public enum Outcome: Sendable, Equatable {
    /// Run the command.
    case run(ParsedCommand)
    /// Print the text and exit with ``ExitCode/done``: help, version, completion or manual.
    case print(String)
  }

  /// Parses.
  ///
  /// Every program also has `--help`, `-h`, `--version`, `--completion SHELL` and `--manual`.
  /// - Parameters:
  ///   - arguments: Without the program's name.
  ///   - environment: For options that name a variable.
  ///   - spec: The program.
  ///   - version: What `--version` prints.
  /// - Returns: What to do.
  /// - Throws: ``UsageError``; print it with the program's name before it, exit with
  ///   ``ExitCode/badUsage``.
  public static func parse(
    _ arguments: [String], environment: [String: String] = [:], _ spec: CommandSpec,
    version: String
  ) throws(UsageError) -> Outcome {
    var state = State(spec: spec)
    var rest = arguments[...]
    var isLiteral = false
    while let word = rest.popFirst() {
      if isLiteral || word == "-" || !word.hasPrefix("-") {
        try state.takeWord(word)
      } else if word == "--" {
        isLiteral = true
      } else if word == "--help" || word == "-h" {
        return .print(CommandText.help(spec, state.parsed.path))
      } else if word == "--version" {
        return .print(version)
      } else if word == "--manual" {
        return .print(CommandText.manual(spec, version: version))
      } else if word == "--completion" {
        guard let shell = rest.popFirst().flatMap(CommandText.Shell.init) else {
          throw UsageError("--completion needs bash, zsh or fish")
        }
        return .print(CommandText.completion(spec, shell))
      } else if word.hasPrefix("--") {
        try state.takeLong(word, &rest)
      } else {
        try state.takeShort(word, &rest)
      }
    }
    return .run(try state.finish(environment))
  }

  private struct State {
    let root: CommandSpec
    var command: CommandSpec
    var options: [OptionSpec]
    var parsed = ParsedCommand()

    init(spec: CommandSpec) {
      root = spec
      command = spec
      options = spec.options
    }

    private var name: String { ([root.name] + parsed.path).joined(separator: " ") }

    mutating func takeWord(_ word: String) throws(UsageError) {
      if !command.subcommands.isEmpty {
        guard let next = command.subcommands.first(where: { $0.name == word }) else {
          let nearest = NearestName.find(word, in: command.subcommands.map(\.name))
          throw UsageError(
            "there is no command \(name) \(word)" + suggestion(nearest.map { "\(name) \($0)" }))
        }
        return enter(next)
      }
      guard
        parsed.arguments.count < command.arguments.count || command.arguments.last?.repeats == true
      else { throw UsageError("\(name) takes no further argument, see \(name) --help") }
      parsed.arguments.append(word)
    }

    private mutating func enter(_ next: CommandSpec) {
      parsed.path.append(next.name)
      command = next
      options = next.options + options
    }

    /// Goes down to the subcommand that is meant when none is named.
    private mutating func enterDefault() {
      guard let next = command.subcommands.first(where: { $0.name == command.defaultSubcommand })
      else { return }
      enter(next)
    }

    mutating func takeLong(_ word: String, _ rest: inout ArraySlice<String>) throws(UsageError) {
      let halves = word.dropFirst(2).split(
        separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let long = String(halves[0])
      if !options.contains(where: { $0.name == long }) { enterDefault() }
      guard let option = options.first(where: { $0.name == long }) else {
        let known = options.map(\.name) + ["help", "version", "completion", "manual"]
        let nearest = NearestName.find(long, in: known).map { "--\($0)" }
        throw UsageError("there is no option --\(long)" + suggestion(nearest))
      }
      if option.value == nil {
        guard halves.count == 1 else { throw UsageError("--\(long) takes no value") }
        try set(option, "")
      } else {
        try set(option, halves.count == 2 ? String(halves[1]) : nextValue(option, &rest))
      }
    }

    mutating func takeShort(_ word: String, _ rest: inout ArraySlice<String>) throws(UsageError) {
      var letters = word.dropFirst()
      if !options.contains(where: { $0.short == letters.first }) { enterDefault() }
      while let letter = letters.popFirst() {
        guard let option = options.first(where: { $0.short == letter }) else {
          throw UsageError("there is no option -\(letter), see \(name) --help")
        }
        guard option.value == nil else {
          if letters.first == "=" { letters = letters.dropFirst() }
          try set(option, letters.isEmpty ? nextValue(option, &rest) : String(letters))
          return
        }
        try set(option, "")
      }
    }

    private func nextValue(
      _ option: OptionSpec, _ rest: inout ArraySlice<String>
    ) throws(UsageError) -> String {
      guard let value = rest.popFirst() else {
        throw UsageError("--\(option.name) needs \(option.value ?? "a value")")
      }
      return value
    }

    private mutating func set(_ option: OptionSpec, _ value: String) throws(UsageError) {
      try check(option, value, "--\(option.name)")
      if let values = parsed.values[option.name] {
        guard option.repeats else { throw UsageError("--\(option.name) is given twice") }
        parsed.values[option.name] = values + [value]
      } else {
        parsed.values[option.name] = [value]
      }
    }

    private func check(
      _ option: OptionSpec, _ value: String, _ place: String
    ) throws(UsageError) {
      guard option.choices.isEmpty || option.choices.contains(value) else {
        throw UsageError("\(place) must be one of \(option.choices.joined(separator: ", "))")
      }
    }

    mutating func finish(_ environment: [String: String]) throws(UsageError) -> ParsedCommand {
      enterDefault()
      guard command.subcommands.isEmpty else {
        throw UsageError("\(name) needs a command, see \(name) --help")
      }
      let required = command.arguments.filter { !$0.isOptional }
      if parsed.arguments.count < required.count {
        throw UsageError(
          "\(name) needs \(required[parsed.arguments.count].name), see \(name) --help")
      }
      for option in options where parsed.values[option.name] == nil {
        guard let variable = option.environment, let value = environment[variable] else { continue }
        if option.value == nil {
          // A flag's variable says no as well as yes.
          if ["", "0", "no", "false", "off"].contains(value.lowercased()) { continue }
          parsed.values[option.name] = [""]
        } else {
          try check(option, value, variable)
          parsed.values[option.name] = [value]
        }
        parsed.variables[option.name] = variable
      }
      return parsed
    }

    private func suggestion(_ nearest: String?) -> String {
      nearest.map { ", did you mean \($0)?" } ?? ", see \(name) --help"
    }
  }
}
