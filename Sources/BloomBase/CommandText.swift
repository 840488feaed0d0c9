/// Help, manual and shell completion, made from a ``CommandSpec``.
public enum CommandText: Sendable {
  /// The shells that completion is written for.
  public enum Shell: String, Sendable, CaseIterable {
    /// GNU bash.
    case bash
    /// The Z shell.
    case zsh
    /// The friendly interactive shell.
    case fish
  }

  private static let common = [
    OptionSpec("help", short: "h", "print this help"),
    OptionSpec("version", "print the version"),
    OptionSpec(
      "completion", value: "SHELL", "print a completion script",
      choices: Shell.allCases.map(\.rawValue)),
    OptionSpec("manual", "print the manual page, for man -l"),
  ]

  /// The help of the command at a path.
  public static func help(_ spec: CommandSpec, _ path: [String] = []) -> String {
    guard let command = spec.command(at: path) else { return "" }
    let name = ([spec.name] + path).joined(separator: " ")
    var sections = ["\(name): \(command.summary)", "usage: \(usage(command, name))"]
    if !command.discussion.isEmpty { sections.append(command.discussion) }
    if !command.subcommands.isEmpty {
      let rows = command.subcommands.map { next in
        let isDefault = next.name == command.defaultSubcommand
        return (next.name, next.summary + (isDefault ? ", when none is named" : ""))
      }
      sections.append("commands:\n" + table(rows))
    }
    if !command.arguments.isEmpty {
      sections.append("arguments:\n" + table(command.arguments.map { ($0.usage, $0.help) }))
    }
    let options = allOptions(spec, path) + common.prefix(path.isEmpty ? common.count : 1)
    sections.append("options:\n" + table(options.map { ($0.usage, details($0)) }))
    if !command.examples.isEmpty {
      let lines = command.examples.map { "  \($0.line)\n      \($0.summary)" }
      sections.append("examples:\n" + lines.joined(separator: "\n"))
    }
    return sections.joined(separator: "\n\n") + "\n"
  }

  /// A manual page in troff, man(7).
  public static func manual(_ spec: CommandSpec, version: String) -> String {
    var text = ".TH \(roff(spec.name.uppercased())) 1 \"\" \"\(roff(version))\"\n"
    text += ".SH NAME\n\(roff(spec.name)) \\- \(roff(spec.summary))\n"
    text += ".SH SYNOPSIS\n"
    for path in paths(spec) {
      guard let command = spec.command(at: path), command.subcommands.isEmpty else { continue }
      let name = ([spec.name] + path).joined(separator: " ")
      text += ".B \(roff(usage(command, name)))\n.br\n"
    }
    if !spec.discussion.isEmpty { text += ".SH DESCRIPTION\n\(roff(spec.discussion))\n" }
    text += ".SH OPTIONS\n" + (spec.options + common).map(roff).joined()
    for path in paths(spec) where !path.isEmpty {
      guard let command = spec.command(at: path) else { continue }
      text += ".SH \(roff(path.joined(separator: " ").uppercased()))\n\(roff(command.summary))\n"
      if !command.discussion.isEmpty { text += ".PP\n\(roff(command.discussion))\n" }
      for argument in command.arguments {
        text += ".TP\n.B \(roff(argument.usage))\n\(roff(argument.help))\n"
      }
      text += command.options.map(roff).joined()
    }
    let examples = paths(spec).flatMap { spec.command(at: $0)?.examples ?? [] }
    if !examples.isEmpty { text += ".SH EXAMPLES\n" }
    for example in examples {
      text += ".TP\n.B \(roff(example.line))\n\(roff(example.summary))\n"
    }
    text += ".SH EXIT STATUS\n0 done, 1 failed, 2 bad usage, 69 service unavailable, "
    return text + "75 try again, 78 bad configuration\n"
  }

  /// A completion script; load it with `source <(program --completion bash)` or the like.
  public static func completion(_ spec: CommandSpec, _ shell: Shell) -> String {
    switch shell {
    case .bash: bash(spec)
    case .zsh: zsh(spec)
    case .fish: fish(spec)
    }
  }

  // MARK: Shells

  private static func bash(_ spec: CommandSpec) -> String {
    let function = "_" + identifier(spec.name)
    var text = """
      \(function)() {
        local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path= i
        for ((i = 1; i < COMP_CWORD; i++)); do
          case "$path ${COMP_WORDS[i]}" in

      """
    text += pathCases(spec, "path=")
    text += "    esac\n  done\n  case \"$path $previous\" in\n"
    for (path, option) in choices(spec) {
      text += "    \(quoted(joined(path) + " --" + option.name))) "
      text +=
        "COMPREPLY=($(compgen -W \(quoted(option.choices.joined(separator: " "))) -- \"$word\")); return;;\n"
    }
    text += "  esac\n  case \"$path\" in\n"
    for path in paths(spec) {
      let list = words(spec, path).map(\.word).joined(separator: " ")
      text +=
        "    \(quoted(joined(path)))) COMPREPLY=($(compgen -W \(quoted(list)) -- \"$word\"));;\n"
    }
    return text + "  esac\n}\ncomplete -o default -F \(function) \(spec.name)\n"
  }

  private static func zsh(_ spec: CommandSpec) -> String {
    let function = "_" + identifier(spec.name)
    // Not `path`, which zsh ties to PATH.
    var text = "#compdef \(spec.name)\n\(function)() {\n  local place= i\n  local -a items\n"
    text += "  for ((i = 2; i < CURRENT; i++)); do\n    case \"$place ${words[i]}\" in\n"
    text += pathCases(spec, "place=")
    text += "    esac\n  done\n  case \"$place ${words[CURRENT-1]}\" in\n"
    for (path, option) in choices(spec) {
      text += "    \(quoted(joined(path) + " --" + option.name))) "
      text += "compadd -- \(option.choices.joined(separator: " ")); return;;\n"
    }
    text += "  esac\n  case \"$place\" in\n"
    for path in paths(spec) {
      let items = words(spec, path).map {
        quoted("\($0.word.replacing(character: ":", "\\:")):\($0.help)")
      }
      text += "    \(quoted(joined(path)))) items=(\(items.joined(separator: " ")));;\n"
    }
    text += "  esac\n  _describe command items || _files\n}\n"
    return text + "compdef \(function) \(spec.name)\n"
  }

  private static func fish(_ spec: CommandSpec) -> String {
    let function = "__\(identifier(spec.name))_at"
    var text = spec.subcommands.isEmpty ? "" : fishPlace(spec, function)
    for path in paths(spec) {
      guard let command = spec.command(at: path) else { continue }
      // Where a word stands counts, not that it is there: `gateway keys` is not `keys`.
      let condition = ([function] + path).joined(separator: " ")
      let prefix = "complete -c \(spec.name) -n \(quoted(condition))"
      for next in command.subcommands {
        text += "\(prefix) -f -a \(next.name) -d \(quoted(next.summary))\n"
      }
      let global = path.isEmpty ? "complete -c \(spec.name)" : prefix
      let named = command.subcommands.first { $0.name == command.defaultSubcommand }
      let own = command.options + (named?.options ?? [])
      for option in own + (path.isEmpty ? common : []) {
        text += "\(global) -l \(option.name)"
        if let short = option.short { text += " -s \(short)" }
        if option.value != nil { text += " -r" }
        if !option.choices.isEmpty {
          text += " -f -a \(quoted(option.choices.joined(separator: " ")))"
        }
        text += " -d \(quoted(option.help))\n"
      }
    }
    return text
  }

  /// A function of fish's own that says whether the words before the cursor lead to a command.
  private static func fishPlace(_ spec: CommandSpec, _ function: String) -> String {
    let steps = paths(spec).filter { !$0.isEmpty }.map { path in
      quoted(path.dropLast().joined(separator: " ") + " " + (path.last ?? ""))
    }
    return """
      function \(function)
        set -l place
        set -l words (commandline -opc)
        set -e words[1]
        for word in $words
          switch "$place $word"
            case \(steps.joined(separator: " "))
              set -a place $word
          end
        end
        test "$place" = "$argv"
      end

      """
  }

  private static func pathCases(_ spec: CommandSpec, _ assignment: String) -> String {
    paths(spec).filter { !$0.isEmpty }.map {
      "      \(quoted(joined($0)))) \(assignment)\(quoted(joined($0)));;\n"
    }.joined()
  }

  // MARK: Parts

  private static func usage(_ command: CommandSpec, _ name: String) -> String {
    let isNamed = command.defaultSubcommand == nil
    let tail =
      command.subcommands.isEmpty
      ? command.arguments.map(\.usage) : [isNamed ? "COMMAND" : "[COMMAND]"]
    return ([name, "[options]"] + tail).joined(separator: " ")
  }

  private static func details(_ option: OptionSpec) -> String {
    var text = option.help
    if !option.choices.isEmpty { text += ": " + option.choices.joined(separator: ", ") }
    if let variable = option.environment { text += " [\(variable)]" }
    return text
  }

  private static func table(_ rows: [(String, String)]) -> String {
    let width = min(30, rows.map(\.0.count).max() ?? 0)
    return rows.map { left, right in
      let gap =
        left.count <= width
        ? String(repeating: " ", count: width - left.count + 2)
        : "\n" + String(repeating: " ", count: width + 4)
      return "  \(left)\(gap)\(right)"
    }.joined(separator: "\n")
  }

  private static func allOptions(_ spec: CommandSpec, _ path: [String]) -> [OptionSpec] {
    (0...path.count).reversed().flatMap { spec.command(at: path.prefix($0))?.options ?? [] }
  }

  /// Every path of commands, the program's own first.
  private static func paths(_ spec: CommandSpec) -> [[String]] {
    [[]] + spec.subcommands.flatMap { next in paths(next).map { [next.name] + $0 } }
  }

  private static func words(_ spec: CommandSpec, _ path: [String]) -> [(word: String, help: String)]
  {
    let commands = spec.command(at: path)?.subcommands.map { ($0.name, $0.summary) } ?? []
    let options =
      allOptions(spec, path + meant(spec, path)) + (path.isEmpty ? common : [common[0]])
    return commands + options.map { ("--\($0.name)", $0.help) }
  }

  /// The subcommand that is meant below a path when none is named; empty when one must be.
  private static func meant(_ spec: CommandSpec, _ path: [String]) -> [String] {
    spec.command(at: path)?.defaultSubcommand.map { [$0] } ?? []
  }

  private static func choices(_ spec: CommandSpec) -> [([String], OptionSpec)] {
    paths(spec).flatMap { path -> [([String], OptionSpec)] in
      let options = allOptions(spec, path + meant(spec, path)) + (path.isEmpty ? common : [])
      return options.filter { !$0.choices.isEmpty }.map { (path, $0) }
    }
  }

  /// A path as the scripts build it: a space before each word.
  private static func joined(_ path: [String]) -> String { path.map { " \($0)" }.joined() }

  private static func identifier(_ name: String) -> String {
    String(name.map { $0.isLetter || $0.isNumber ? $0 : "_" })
  }

  private static func quoted(_ text: String) -> String {
    "'" + text.replacing(character: "'", "'\\''") + "'"
  }

  private static func roff(_ option: OptionSpec) -> String {
    let usage = option.usage.drop { $0 == " " }
    return ".TP\n.B \(roff(String(usage)))\n\(roff(details(option)))\n"
  }

  private static func roff(_ text: String) -> String {
    let escaped = text.replacing(character: "\\", "\\e").replacing(character: "-", "\\-")
    return escaped.split(separator: "\n", omittingEmptySubsequences: false).map {
      $0.hasPrefix(".") || $0.hasPrefix("'") ? "\\&\($0)" : $0.isEmpty ? ".PP" : String($0)
    }.joined(separator: "\n")
  }
}

extension String {
  /// Replaces every occurrence of a short text.
  func replacing(character old: Character, _ new: String) -> String {
    reduce(into: "") { $0 += $1 == old ? new : String($1) }
  }
}
