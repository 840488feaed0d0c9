/// One command of a program, and everything that is known about its arguments.
///
/// Parsing, help, manual page and shell completion all come from this one table.
public struct CommandSpec: Sendable {
  /// The word on the command line.
  public let name: String
  /// One line, lower case, without a full stop.
  public let summary: String
  /// Paragraphs for the help and the manual; may be empty.
  public let discussion: String
  /// Options; those of a parent are accepted by its subcommands too.
  public let options: [OptionSpec]
  /// What follows the options, in order.
  public let arguments: [ArgumentSpec]
  /// Command lines and what they do.
  public let examples: [Example]
  /// Commands below this one.
  public let subcommands: [CommandSpec]
  /// The subcommand that is meant when none is named; `nil` when one must be.
  public let defaultSubcommand: String?

  /// A command line that works, and what it does.
  public struct Example: Sendable {
    /// The whole line.
    public let line: String
    /// What it does, lower case.
    public let summary: String

    /// Wraps both.
    public init(_ line: String, _ summary: String) {
      self.line = line
      self.summary = summary
    }
  }

  /// Wraps the parts.
  public init(
    _ name: String, _ summary: String, discussion: String = "", options: [OptionSpec] = [],
    arguments: [ArgumentSpec] = [], examples: [Example] = [], subcommands: [CommandSpec] = [],
    defaultSubcommand: String? = nil
  ) {
    self.name = name
    self.summary = summary
    self.discussion = discussion
    self.options = options
    self.arguments = arguments
    self.examples = examples
    self.subcommands = subcommands
    self.defaultSubcommand = defaultSubcommand
  }

  /// The command at a path below this one; `nil` when there is none.
  public func command(at path: some Collection<String>) -> CommandSpec? {
    guard let first = path.first else { return self }
    return subcommands.first { $0.name == first }?.command(at: path.dropFirst())
  }
}

/// One option of a command.
public struct OptionSpec: Sendable {
  /// The long name without dashes.
  public let name: String
  /// The short name, if any.
  public let short: Character?
  /// How help calls the value; `nil` for a flag without one.
  public let value: String?
  /// One line, lower case, without a full stop.
  public let help: String
  /// The only values accepted; empty for any.
  public let choices: [String]
  /// Whether it may be given more than once.
  public let repeats: Bool
  /// The environment variable that stands in for it.
  public let environment: String?

  /// Wraps the parts.
  public init(
    _ name: String, short: Character? = nil, value: String? = nil, _ help: String,
    choices: [String] = [], repeats: Bool = false, environment: String? = nil
  ) {
    self.name = name
    self.short = short
    self.value = value
    self.help = help
    self.choices = choices
    self.repeats = repeats
    self.environment = environment
  }

  /// `--json`, for every command that prints data.
  public static let json = OptionSpec("json", "print JSON")

  /// `-p, --port PORT`, for help.
  var usage: String {
    let long = "--\(name)" + (value.map { " \($0)" } ?? "")
    return short.map { "-\($0), \(long)" } ?? "    \(long)"
  }
}

/// One argument that is not an option.
public struct ArgumentSpec: Sendable {
  /// How help calls it.
  public let name: String
  /// One line, lower case, without a full stop.
  public let help: String
  /// Whether it may be left out.
  public let isOptional: Bool
  /// Whether it takes all that follow; the last one only.
  public let repeats: Bool

  /// Wraps the parts.
  public init(_ name: String, _ help: String, isOptional: Bool = false, repeats: Bool = false) {
    self.name = name
    self.help = help
    self.isOptional = isOptional
    self.repeats = repeats
  }

  var usage: String {
    let plain = repeats ? "\(name)…" : name
    return isOptional ? "[\(plain)]" : plain
  }
}
