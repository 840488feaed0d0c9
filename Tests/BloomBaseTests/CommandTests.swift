import BloomBase
import Testing

@Suite struct CommandTests {
  static let spec = CommandSpec(
    "bloom", "a test program",
    options: [OptionSpec("verbose", short: "v", "say more")],
    subcommands: [
      CommandSpec(
        "node", "runs a node", discussion: "It's here.\n.not a request",
        options: [
          OptionSpec(
            "port", short: "p", value: "PORT", "listen there", environment: "BLOOM_PORT"),
          OptionSpec(
            "mood", value: "MOOD", "why", choices: ["good", "bad"], environment: "BLOOM_MOOD"),
          OptionSpec("quiet", short: "q", "say less", environment: "BLOOM_QUIET"),
          OptionSpec("mode", value: "MODE", "how", choices: ["fast", "slow"]),
          OptionSpec("model", short: "m", value: "FILE", "load it", repeats: true),
          .json,
        ],
        arguments: [
          ArgumentSpec("NAME", "what to call it"),
          ArgumentSpec("EXTRA", "more", isOptional: true, repeats: true),
        ],
        examples: [.init("bloom node a --port 1", "runs node a on port 1")]),
      CommandSpec(
        "keys", "keys",
        subcommands: [CommandSpec("list", "lists keys"), CommandSpec("remove", "removes a key")]),
    ])

  func run(_ line: String, _ environment: [String: String] = [:]) throws -> ParsedCommand {
    let words = line.split(separator: " ").map(String.init)
    let outcome = try CommandParser.parse(
      words, environment: environment, Self.spec, version: "1.2")
    guard case .run(let command) = outcome else { throw UsageError("printed") }
    return command
  }

  @Test func `options stand in every usual form`() throws {
    for line in [
      "node a -p 80", "node a -p80", "node a -p=80", "node a --port 80", "node --port=80 a",
      "node -qp80 a", "-v node a --port 80",
    ] {
      let command = try run(line)
      #expect(command.path == ["node"] && command.arguments == ["a"], "\(line)")
      #expect(try command.integer("port", in: 1...65_535) == 80, "\(line)")
    }
    let command = try run("node a -vq -m x --model=y=z --mode fast -- --port -x")
    #expect(command.has("verbose") && command.has("quiet") && !command.has("json"))
    #expect(command.all("model") == ["x", "y=z"] && command.value("mode") == "fast")
    #expect(command.arguments == ["a", "--port", "-x"])
    #expect(try run("keys list -v").path == ["keys", "list"])
    #expect(try run("node -").arguments == ["-"])
  }

  @Test func `the environment stands in for an option that is missing`() throws {
    #expect(try run("node a", ["BLOOM_PORT": "7"]).value("port") == "7")
    #expect(try run("node a -p 8", ["BLOOM_PORT": "7"]).value("port") == "8")
    #expect(try run("node a", ["BLOOM_QUIET": "1"]).has("quiet"))
    #expect(try !run("node a", ["BLOOM_QUIET": "false"]).has("quiet"))
  }

  @Test func `a wrong value is blamed on the variable that it came from`() throws {
    let variables = ["BLOOM_PORT": "x", "BLOOM_QUIET": "1"]
    func refusal(_ line: String) throws -> String? {
      let command = try run(line, variables)
      do throws(UsageError) {
        _ = try command.integer("port", in: 1...9)
        return nil
      } catch {
        return error.publicDescription
      }
    }
    #expect(try refusal("node a") == "BLOOM_PORT must be a whole number in 1…9")
    #expect(try refusal("node a --port y") == "--port must be a whole number in 1…9")
    let command = try run("node a", variables)
    #expect(command.place(of: "quiet") == "BLOOM_QUIET")
    #expect(command.place(of: "mode") == "--mode")
    let error = #expect(throws: UsageError.self) { _ = try run("node a", ["BLOOM_MOOD": "odd"]) }
    #expect(error?.publicDescription == "BLOOM_MOOD must be one of good, bad")
  }

  @Test func `bad lines say what to type`() {
    let cases: [(line: String, error: String)] = [
      ("", "bloom needs a command, see bloom --help"),
      ("nodw a", "there is no command bloom nodw, did you mean bloom node?"),
      ("zzz", "there is no command bloom zzz, see bloom --help"),
      ("keys", "bloom keys needs a command, see bloom keys --help"),
      ("node", "bloom node needs NAME, see bloom node --help"),
      ("keys list x", "bloom keys list takes no further argument, see bloom keys list --help"),
      ("node a --prot 1", "there is no option --prot, did you mean --port?"),
      ("node a -x", "there is no option -x, see bloom node --help"),
      ("node a --port", "--port needs PORT"),
      ("node a --quiet=1", "--quiet takes no value"),
      ("node a --port 1 --port 2", "--port is given twice"),
      ("node a --mode odd", "--mode must be one of fast, slow"),
      ("--completion tcsh", "--completion needs bash, zsh or fish"),
    ]
    for (line, error) in cases {
      #expect(throws: UsageError(error), "\(line)") { try run(line) }
    }
    #expect(throws: UsageError("--port must be a whole number in 1…9")) {
      try run("node a -p 10").integer("port", in: 1...9)
    }
  }

  @Test func `help, manual and completion come from the table`() throws {
    func printed(_ words: [String]) throws -> String {
      guard case .print(let text) = try CommandParser.parse(words, Self.spec, version: "1.2") else {
        return ""
      }
      return text
    }
    #expect(try printed(["--version"]) == "1.2")
    let help = try printed(["node", "--help"])
    for part in [
      "usage: bloom node [options] NAME [EXTRA…]", "-p, --port PORT", "[BLOOM_PORT]", "fast, slow",
      "bloom node a --port 1", "--verbose",
    ] { #expect(help.contains(part), "\(part)") }
    #expect(try printed(["-h"]).contains("runs a node"))
    let manual = try printed(["--manual"])
    #expect(manual.contains(".TH BLOOM 1") && manual.contains("\\-\\-port"))
    #expect(manual.contains("\\&.not a request") && !manual.contains("\n.not"))
    for shell in ["bash", "zsh", "fish"] {
      let script = try printed(["--completion", shell])
      for word in ["node", "remove", "port", "fast"] { #expect(script.contains(word), "\(shell)") }
    }
  }

  @Test func `a subcommand may be meant when none is named`() throws {
    let spec = CommandSpec(
      "bloom", "a test program",
      subcommands: [
        CommandSpec(
          "gate", "a gate",
          subcommands: [
            CommandSpec(
              "run", "runs it",
              options: [
                OptionSpec("port", short: "p", value: "N", "p"),
                OptionSpec("mode", value: "MODE", "how", choices: ["fast", "slow"]),
              ]),
            CommandSpec("keys", "keys", subcommands: [CommandSpec("list", "lists keys")]),
          ], defaultSubcommand: "run")
      ])
    func path(_ line: String) throws -> [String] {
      let words = line.split(separator: " ").map(String.init)
      let outcome = try CommandParser.parse(words, spec, version: "1")
      guard case .run(let command) = outcome else { throw UsageError("printed") }
      return command.path
    }
    for line in ["gate", "gate --port 1", "gate -p1", "gate run", "gate run --port=1"] {
      #expect(try path(line) == ["gate", "run"], "\(line)")
    }
    #expect(try path("gate keys list") == ["gate", "keys", "list"])
    for line in ["gate --prot 1", "gate list", "gate keys", "gate --port 1 keys list"] {
      #expect(throws: UsageError.self, "\(line)") { try path(line) }
    }
    #expect(CommandText.help(spec, ["gate"]).contains("[COMMAND]"))
    #expect(CommandText.completion(spec, .bash).contains("keys --port"))
    for shell in [CommandText.Shell.bash, .zsh] {
      #expect(CommandText.completion(spec, shell).contains("' gate --mode')"), "\(shell)")
    }
    let fish = CommandText.completion(spec, .fish).split(separator: "\n")
    #expect(fish.contains { $0.contains("-n '__bloom_at gate' -l mode") })
  }

  @Test func `fish offers a command's words only where the command stands`() {
    let spec = CommandSpec(
      "bloom", "a test program",
      subcommands: [
        CommandSpec(
          "gate", "a gate",
          subcommands: [
            CommandSpec("keys", "of the gate", subcommands: [CommandSpec("add", "adds one")])
          ]),
        CommandSpec("keys", "of the account", subcommands: [CommandSpec("list", "lists them")]),
      ])
    let script = CommandText.completion(spec, .fish)
    let lines = script.split(separator: "\n").map(String.init)
    for (place, word, help) in [
      ("", "gate", "a gate"), ("", "keys", "of the account"), (" gate", "keys", "of the gate"),
      (" gate keys", "add", "adds one"), (" keys", "list", "lists them"),
    ] {
      let line = "complete -c bloom -n '__bloom_at\(place)' -f -a \(word) -d '\(help)'"
      #expect(lines.contains(line), "\(line)")
    }
    // The words that lead on, each with what stands before it.
    #expect(lines.contains("      case ' gate' 'gate keys' 'gate keys add' ' keys' 'keys list'"))
    #expect(!script.contains("seen_subcommand"))
  }

  @Test func `near names are found and far ones are not`() {
    let names = ["listen", "models", "verbose"]
    #expect(NearestName.find("lisetn", in: names) == "listen")
    #expect(NearestName.find("model", in: names) == "models")
    #expect(NearestName.find("xyz", in: names) == nil)
    #expect(NearestName.find("", in: names) == nil)
  }
}
