internal import BloomBase
internal import BloomPlatform

// Parses, prints, and hands over: each command is in its own file.
let environment = ProcessEnvironment.current
do {
  switch try CommandParser.parse(
    Array(CommandLine.arguments.dropFirst()), environment: environment, DarkbloomCommand.spec,
    version: "darkbloom \(DarkbloomCommand.version)")
  {
  case .print(let text):
    print(text)
  case .run(let command):
    let code = await DarkbloomCommand.run(command, environment: environment)
    ProcessEnvironment.exit(code)
  }
} catch {
  ProcessEnvironment.complain("darkbloom: \(error.publicDescription)")
  ProcessEnvironment.exit(.badUsage)
}
