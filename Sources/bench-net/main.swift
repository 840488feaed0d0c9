import BloomBench
import BloomNet

// The program is its own server: the measuring process starts `bench-net serve CERTIFICATE`, the
// path of certificate and key without their endings, so that the CPU time of both is told apart.
let arguments = CommandLine.arguments
if arguments.count >= 2, arguments[1] == "serve" {
  try await BenchServer.serve(certificate: arguments.dropFirst(2).first)
} else {
  BenchReport.finish(area: "net", rows: try await NetBench().run(program: arguments[0]))
}
