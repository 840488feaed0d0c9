// The coordinator: accounts, load and prices; it cannot read what it relays.
import BloomCoordinator
import BloomPlatform

ProcessEnvironment.exit(
  await CoordinatorProgram.run(
    Array(CommandLine.arguments.dropFirst()), environment: ProcessEnvironment.current))
