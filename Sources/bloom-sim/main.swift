internal import BloomBase
internal import BloomSim

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Runs seeds one after the other; prints a one-line replay for each that broke a rule.
func run(seeds: ClosedRange<UInt64>) -> Int32 {
  var failed = 0
  var events = 0
  for seed in seeds {
    let report = Simulation(SimPlan(seed: seed)).run()
    events += report.events
    guard !report.faults.isEmpty else { continue }
    failed += 1
    print("seed \(seed): \(report.faults[0])")
    print("  replay: \(report.replay)")
  }
  print("\(seeds.count) seeds, \(events) events, \(failed) failed")
  return failed == 0 ? 0 : 1
}

/// Runs one seed and prints all of it.
func replay(_ seed: UInt64) -> Int32 {
  let report = Simulation(SimPlan(seed: seed)).run()
  print(
    "seed \(seed): \(report.events) events, fingerprint \(Hex.encode(KeyID(report.fingerprint).bytes))"
  )
  print(
    "answers: \(report.complete) complete, \(report.failed) failed, \(report.left) left early; "
      + "\(report.continued) continued elsewhere")
  print("\(report.nodeFaults) node faults, \(report.coordinatorCrashes) coordinator crashes")
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
