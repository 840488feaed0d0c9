// Victim and attacker for the hardening tests: each is a process of its own.
//
//   hardening-probe facts [guard]          locks itself down, prints the facts in force
//   hardening-probe threads                locks itself down, then uses tasks, timers and threads
//   hardening-probe victim plain|hard|guarded   holds a secret, prints where, waits for input
//   hardening-probe attack PID ADDRESS     tries to read 16 bytes of another process
//   hardening-probe reach PID ADDRESS      the same, whatever stands there
import BloomBase
import BloomPlatform

let arguments = CommandLine.arguments.dropFirst()

switch arguments.first {
case "facts":
  do throws(PlatformError) {
    let begun = try ProcessHardening.begin(
      .init(keptDescriptors: [], startsGuard: arguments.last == "guard"))
    let facts = try ProcessHardening.finish(begun)
    print(facts.names.joined(separator: " "))
  } catch {
    print("error: \(error.publicDescription)")
  }
case "threads":
  do throws(PlatformError) {
    let begun = try ProcessHardening.begin(.init(keptDescriptors: []))
    let facts = try ProcessHardening.finish(begun)
    let sum = await ProbeWork.run()
    print("\(facts.names.count) facts, sum \(sum)")
  } catch {
    print("error: \(error.publicDescription)")
  }
case "victim": Victim.run(arguments.dropFirst().first ?? "")
case "reach": Attacker.reach(Array(arguments.dropFirst()))
case "attack": Attacker.run(Array(arguments.dropFirst()))
default: print("usage: hardening-probe facts | threads | victim KIND | attack|reach PID ADDRESS")
}
