// The coordinator: accounts, load and prices; it cannot read what it relays.
import BloomBase
import BloomCoordinator
import BloomPlatform

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

let code = await CoordinatorProgram.run(
  Array(CommandLine.arguments.dropFirst()), environment: ProcessEnvironment.current())
exit(code.rawValue)
