import BloomBench

// The coordinator under test is the real program beside this one; clients and nodes live here.
BenchReport.finish(area: "relay", rows: try await RelayBench().run())
