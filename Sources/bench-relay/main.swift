import BloomBench

// The coordinator under test is the real program beside this one; clients and nodes live here.
// Arguments name the parts to measure; all without any.
let rows = try await RelayBench().run(only: Array(CommandLine.arguments.dropFirst()))
BenchReport.finish(area: "relay", rows: rows)
