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

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "run" where arguments.count == 3 && arguments[1] == "--seeds":
  guard let count = UInt64(arguments[2]), count > 0 else { exit(2) }
  exit(run(seeds: 1...count))
case "run" where arguments.count == 3 && arguments[1] == "--seed":
  guard let seed = UInt64(arguments[2]) else { exit(2) }
  exit(replay(seed))
case "capacity":
  print(CapacityReport.text(seeds: 5))
default:
  print(
    """
    usage: bloom-sim run --seeds COUNT    run that many seeds
           bloom-sim run --seed SEED      show one run again
           bloom-sim capacity             1,000 mixed machines on three small models
    """)
  exit(2)
}
