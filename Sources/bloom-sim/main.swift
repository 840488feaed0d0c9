internal import BloomBase
internal import BloomPlatform
internal import BloomSim
internal import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

let spec = CommandSpec(
  "bloom-sim", "the whole network under virtual time, and what it could deliver",
  subcommands: [
    CommandSpec(
      "run", "run seeds; each that breaks a rule prints the line that shows it again",
      options: [
        OptionSpec("seeds", value: "N", "run the seeds 1 to N"),
        OptionSpec("seed", value: "SEED", "run one seed and print all of it"),
        OptionSpec("nodes", value: "N", "machines, 6 unless given"),
        OptionSpec("answers", value: "N", "answers that are asked for, 40 unless given"),
        OptionSpec("seconds", value: "N", "how long answers are asked for, 30 unless given"),
        OptionSpec("vices", value: "PERCENT", "who misbehaves on purpose, 30 unless given"),
        OptionSpec("calm", "nothing goes wrong by itself"),
        OptionSpec(
          "break", value: "RULE", "break a rule, to see its checker find it",
          choices: Sabotage.allCases.map(\.rawValue)),
      ],
      examples: [
        .init("bloom-sim run --seeds 1000", "exit code 1 when a rule was broken"),
        .init("bloom-sim run --seeds 5 --break endsTwice", "what a broken rule looks like"),
      ]),
    CommandSpec(
      "capacity", "what 1,000 machines deliver of three small models, beside a published table",
      options: [OptionSpec("seeds", value: "N", "runs of each case, 5 unless given"), .json],
      examples: [.init("bloom-sim capacity", "the table of docs/capacity.md")]),
    CommandSpec(
      "predict", "tokens a second of equal machines that were measured",
      options: [
        OptionSpec("nodes", value: "N", "machines, 4 unless given"),
        OptionSpec("slots", value: "N", "streams of each at once, 1 unless given"),
        OptionSpec("clients", value: "N", "who ask again as soon as they have an answer"),
        OptionSpec("decode", value: "RATE", "tokens a second of one lone stream"),
        OptionSpec("slowing", value: "SHARE", "slowing of a stream by each other one, 0.27"),
        OptionSpec("first", value: "SECONDS", "to the first token of a lone stream"),
        OptionSpec("tokens", value: "N", "tokens of each answer, 250 unless given"),
        .json,
      ],
      examples: [
        .init(
          "bloom-sim predict --clients 8 --decode 20 --first 0.4", "what four such machines do")
      ]),
  ])

/// Where a run keeps its ledger: memory-backed where there is such a folder.
let storeFolder = unsafe access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"

/// Runs a plan with a SQLite store of its own.
func simulate(_ plan: SimPlan) -> SimReport {
  var plan = plan
  let path = "\(storeFolder)/bloom-sim-\(getpid())-\(plan.seed).sqlite"
  plan.store = path
  defer { for suffix in ["", "-wal", "-shm"] { _ = unsafe unlink(path + suffix) } }
  return Simulation(plan).run()
}

/// Runs seeds one after the other; prints a one-line replay for each that broke a rule.
func run(_ plans: some Sequence<SimPlan>) -> Int32 {
  var count = 0
  var failed = 0
  var events = 0
  var happened: [FaultKind: Int] = [:]
  for plan in plans {
    let report = simulate(plan)
    count += 1
    events += report.events
    happened.merge(report.happened) { $0 + $1 }
    guard !report.faults.isEmpty else { continue }
    failed += 1
    print("seed \(report.seed): \(report.faults[0])")
    print("  replay: \(report.replay)")
  }
  print("\(count) seeds, \(events) events, \(failed) failed")
  print(text(happened))
  return failed == 0 ? 0 : 1
}

/// How often each kind of fault happened.
func text(_ happened: [FaultKind: Int]) -> String {
  FaultKind.allCases.map { "\($0.rawValue) \(happened[$0] ?? 0)" }.joined(separator: ", ")
}

/// JSON as one line.
func text(_ value: JSONValue) -> String { String(decoding: value.encoded, as: UTF8.self) }

/// Runs one seed and prints all of it.
func replay(_ plan: SimPlan) -> Int32 {
  let report = simulate(plan)
  let fingerprint = Hex.encode(KeyID(report.fingerprint).bytes)
  print("seed \(report.seed): \(report.events) events, fingerprint \(fingerprint)")
  print(
    "answers: \(report.complete) complete, \(report.failed) failed, \(report.left) left early; "
      + "\(report.continued) continued elsewhere")
  print("store: \(report.commits) groups, \(report.recoveries) recoveries")
  print("faults: \(text(report.happened))")
  for fault in report.faults { print("  \(fault)") }
  return report.faults.isEmpty ? 0 : 1
}

func plan(_ command: ParsedCommand, seed: Int) throws -> SimPlan {
  var plan = SimPlan(seed: UInt64(seed))
  plan.nodes = try command.integer("nodes", in: 1...1000) ?? plan.nodes
  plan.answers = try command.integer("answers", in: 1...100_000) ?? plan.answers
  if let seconds = try command.integer("seconds", in: 1...3600) {
    plan.duration = .seconds(seconds)
  }
  if let vices = try command.integer("vices", in: 0...100) {
    plan.viceShare = Double(vices) / 100
  }
  if command.has("calm") { plan.faultEvery = nil }
  plan.sabotage = command.value("break").flatMap(Sabotage.init)
  return plan
}

func run(_ command: ParsedCommand) throws -> Int32 {
  if let seed = try command.integer("seed", in: 0...Int.max) {
    return replay(try plan(command, seed: seed))
  }
  guard let count = try command.integer("seeds", in: 1...10_000_000) else {
    throw UsageError("run needs --seeds or --seed; see --help")
  }
  let first = try plan(command, seed: 1)
  return run(
    (1...count).lazy.map { seed in
      var plan = first
      plan.seed = UInt64(seed)
      return plan
    })
}

/// A positive number given as an option.
func number(_ command: ParsedCommand, _ option: String, least: Double) throws -> Double? {
  guard let word = command.value(option) else { return nil }
  guard let number = Double(word), number.isFinite, number >= least, number <= 1e6 else {
    throw UsageError("--\(option) takes a number from \(least) to 1000000")
  }
  return number
}

func predict(_ command: ParsedCommand) throws -> Int32 {
  guard let clients = try command.integer("clients", in: 1...10_000),
    let decode = try number(command, "decode", least: 0.001)
  else { throw UsageError("predict needs --clients and --decode; see --help") }
  var plan = CapacityPlan(seed: 1)
  let speed = MachineSpeed(
    decode: decode, slowing: try number(command, "slowing", least: 0) ?? 0.27,
    firstToken: try number(command, "first", least: 0) ?? 0)
  let nodes = try command.integer("nodes", in: 1...1000) ?? 4
  plan.machines = Array(repeating: speed, count: nodes)
  plan.slots = try command.integer("slots", in: 1...64) ?? 1
  plan.closedLoop = clients
  plan.answerTokens = try command.integer("tokens", in: 1...100_000) ?? plan.answerTokens
  var run = CapacityRun(plan)
  let result = run.run()
  print(
    command.has("json")
      ? text(
        .members([
          "tokens_per_second": .rounded(result.tokens),
          "first_token_seconds": .rounded(result.firstToken.median),
        ]))
      : "simulated: \(Int(result.tokens.rounded())) tok/s, first token after "
        + "\((result.firstToken.median * 1000).rounded() / 1000) s (median)")
  return 0
}

func perform(_ command: ParsedCommand) throws -> Int32 {
  switch command.path.last {
  case "run": return try run(command)
  case "predict": return try predict(command)
  default:
    let report = CapacityReport(seeds: try command.integer("seeds", in: 1...100) ?? 5)
    print(command.has("json") ? text(report.json) : report.text)
    return 0
  }
}

do {
  switch try CommandParser.parse(
    Array(CommandLine.arguments.dropFirst()), environment: [:], spec, version: "bloom-sim")
  {
  case .print(let text): print(text)
  case .run(let command): exit(try perform(command))
  }
} catch {
  ProcessEnvironment.complain("bloom-sim: \(error.safeDescription)")
  exit(2)
}
