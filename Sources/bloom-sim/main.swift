internal import BloomBase
internal import BloomSim

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Where a run keeps its ledger: memory-backed where there is such a folder.
let storeFolder = unsafe access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"

/// Runs a seed with a SQLite store of its own.
func simulate(_ seed: UInt64) -> SimReport {
  var plan = SimPlan(seed: seed)
  let path = "\(storeFolder)/bloom-sim-\(getpid())-\(seed).sqlite"
  plan.store = path
  defer { for suffix in ["", "-wal", "-shm"] { _ = unsafe unlink(path + suffix) } }
  return Simulation(plan).run()
}

/// Runs seeds one after the other; prints a one-line replay for each that broke a rule.
func run(seeds: ClosedRange<UInt64>) -> Int32 {
  var failed = 0
  var events = 0
  var happened: [FaultKind: Int] = [:]
  for seed in seeds {
    let report = simulate(seed)
    events += report.events
    happened.merge(report.happened) { $0 + $1 }
    guard !report.faults.isEmpty else { continue }
    failed += 1
    print("seed \(seed): \(report.faults[0])")
    print("  replay: \(report.replay)")
  }
  print("\(seeds.count) seeds, \(events) events, \(failed) failed")
  print(text(happened))
  return failed == 0 ? 0 : 1
}

/// How often each kind of fault happened.
func text(_ happened: [FaultKind: Int]) -> String {
  FaultKind.allCases.map { "\($0.rawValue) \(happened[$0] ?? 0)" }.joined(separator: ", ")
}

/// Runs one seed and prints all of it.
func replay(_ seed: UInt64) -> Int32 {
  let report = simulate(seed)
  print(
    "seed \(seed): \(report.events) events, fingerprint \(Hex.encode(KeyID(report.fingerprint).bytes))"
  )
  print(
    "answers: \(report.complete) complete, \(report.failed) failed, \(report.left) left early; "
      + "\(report.continued) continued elsewhere")
  print("store: \(report.commits) groups, \(report.recoveries) recoveries")
  print("faults: \(text(report.happened))")
  for fault in report.faults { print("  \(fault)") }
  return report.faults.isEmpty ? 0 : 1
}

/// Prints what a network of equal, measured machines should deliver to clients that always ask.
func predict(_ words: [String]) -> Int32 {
  let numbers = words.compactMap { Double($0) }
  guard numbers.count == 7, words.count == 7, numbers.allSatisfy({ $0 >= 0 && $0.isFinite }),
    (1...1000).contains(numbers[0]), (1...64).contains(numbers[1]),
    (1...10_000).contains(numbers[2]), numbers[3] > 0, (1...100_000).contains(numbers[6])
  else { return 2 }
  var plan = CapacityPlan(seed: 1)
  let speed = MachineSpeed(decode: numbers[3], slowing: numbers[4], firstToken: numbers[5])
  plan.machines = Array(repeating: speed, count: Int(numbers[0]))
  plan.slots = Int(numbers[1])
  plan.closedLoop = Int(numbers[2])
  plan.answerTokens = Int(numbers[6])
  plan.candidates = min(3, plan.machines.count)
  var run = CapacityRun(plan)
  print(run.run().tokens)
  return 0
}

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "run" where arguments.count == 3 && arguments[1] == "--seeds":
  guard let count = UInt64(arguments[2]), count > 0 else { exit(2) }
  exit(run(seeds: 1...count))
case "run" where arguments.count == 3 && arguments[1] == "--seed":
  guard let seed = UInt64(arguments[2]) else { exit(2) }
  exit(replay(seed))
case "predict":
  exit(predict(Array(arguments.dropFirst())))
case "capacity":
  print(CapacityReport.text(seeds: 5))
default:
  print(
    """
    usage: bloom-sim run --seeds COUNT    run that many seeds
           bloom-sim run --seed SEED      show one run again
           bloom-sim capacity             1,000 mixed machines on three small models
           bloom-sim predict NODES SLOTS CLIENTS DECODE SLOWING FIRST TOKENS
                                          tokens a second of equal machines that were measured:
                                          DECODE tokens/s of one stream, SLOWING by each other one,
                                          FIRST seconds to the first token, TOKENS an answer
    """)
  exit(2)
}
