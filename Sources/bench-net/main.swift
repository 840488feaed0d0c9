import BloomBench
import BloomNet

// The program is its own server: `bench-net serve <plain port file>` is started by the measuring
// process, so that server and client CPU time are told apart.
let arguments = CommandLine.arguments
if arguments.count >= 2, arguments[1] == "serve" {
  try await BenchServer.serve(certificate: arguments.dropFirst(2).first)
} else {
  BenchReport.finish(area: "net", rows: try await NetBench().run(program: arguments[0]))
}
