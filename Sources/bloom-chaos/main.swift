internal import BloomBase
internal import BloomChaos
internal import BloomPlatform
internal import BloomTestSupport

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

let spec = CommandSpec(
  "bloom-chaos", "kill, freeze and restart machines under running answers",
  options: [
    OptionSpec("small", "a few seconds, scripted nodes only"),
    OptionSpec("streams", value: "N", "answers of the scripted engine, 800 unless given"),
    OptionSpec("real", value: "N", "answers of the real engine, 200 unless given"),
  ],
  arguments: [
    ArgumentSpec("NODE", "what the suite itself starts", isOptional: true, repeats: true)
  ],
  examples: [.init("bloom-chaos", "the whole suite; exit code 0 when nothing was lost")])

func bundledModel() -> String? {
  guard let folders = UserFolders(environment: ProcessEnvironment.current) else { return nil }
  return "\(folders.cache)/engine/current/share/models/smollm2-135m-instruct-q8_0.gguf"
}

func run(_ command: ParsedCommand) async throws -> Int32 {
  let words = command.arguments
  if words.count == 4, words[0] == "node" {
    try await ScriptedNode.run(data: words[1], network: words[2], cluster: words[3])
    return 0
  }
  guard words.isEmpty else { throw UsageError("bloom-chaos takes no arguments; see --help") }
  var size = command.has("small") ? ChaosRun.Size.small : ChaosRun.Size()
  size.scripted = try command.integer("streams", in: 4...100_000) ?? size.scripted
  size.real = try command.integer("real", in: 0...10_000) ?? size.real
  if size.real == 0 { size.realNodes = 0 }
  let folder = try TemporaryFolder("chaos")
  let run = try ChaosRun(size: size, folder: folder.path, bundled: bundledModel()) {
    ProcessEnvironment.complain($0)
  }
  let report = try await run.run()
  print(report.text)
  ProcessEnvironment.flush()
  withExtendedLifetime(folder) {}
  return report.holds ? 0 : 1
}

do {
  switch try CommandParser.parse(
    Array(CommandLine.arguments.dropFirst()), environment: [:], spec, version: "bloom-chaos")
  {
  case .print(let text): print(text)
  case .run(let command): exit(try await run(command))
  }
} catch {
  ProcessEnvironment.complain("bloom-chaos: \(error.safeDescription)")
  exit(2)
}
