internal import BloomBase
internal import BloomClient
internal import BloomPlatform
internal import BloomWire

/// `darkbloom pair`: the user's own machines, pinned by the code on their screens.
struct PairCommand {
  static let spec = CommandSpec(
    "pair", "pin a machine of yours by the code on its screen",
    discussion: """
      On the other machine `darkbloom node code` shows a code, and a QR code that holds it as a link. \
      A paired machine is asked before strangers' and counts as tier paired: you took its identity \
      from its own screen and from no network. At a terminal the code is asked for when none is given.
      """,
    options: [
      .json, OptionSpec("list", "print the paired machines"),
      OptionSpec("remove", "forget the machine of this code"),
    ],
    arguments: [
      ArgumentSpec("CODE", "what the machine shows, code or link", isOptional: true, repeats: true)
    ],
    examples: [
      .init("darkbloom pair", "asks for the code that the other machine shows"),
      .init("darkbloom pair --list", "every paired machine with its code"),
      .init(
        "darkbloom policy set places device,paired", "then: nothing goes to strangers' machines"),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    if context.command.has("list") {
      guard context.command.arguments.isEmpty, !context.command.has("remove") else {
        throw UsageError("--list takes no code")
      }
      list(try PolicyCommand.read(context))
      return .done
    }
    let node = try PairingCode.node(try await code())
    // What the environment says is not written down.
    var policy = try PolicyCommand.written(context)
    let isRemoved = context.command.has("remove")
    if isRemoved {
      guard policy.paired.remove(node) != nil else {
        throw UsageError("that machine is not paired; list them with: darkbloom pair --list")
      }
    } else {
      policy.paired.insert(node)
    }
    let path = try PolicyCommand.write(policy, context)
    if context.command.has("json") {
      let value = JSONValue.members([
        "machine": .string(node.digest.hex), "paired": .bool(!isRemoved),
      ])
      print(String(decoding: value.encoded, as: UTF8.self))
      return .done
    }
    let machine = node.digest.hex.prefix(8)
    print(isRemoved ? "machine \(machine) is paired no more" : "paired with machine \(machine)")
    print("kept in \(path); it counts for every answer that begins from now on")
    if !isRemoved, policy.places.contains(.public) || policy.places.contains(.pool) {
      print("to use your own machines alone: darkbloom policy set places device,paired")
    }
    return .done
  }

  private func code() async throws -> String {
    let words = context.command.arguments
    if !words.isEmpty { return words.joined(separator: " ") }
    guard Terminal.hasInput else {
      throw UsageError("name the code that the other machine shows: darkbloom node code")
    }
    ProcessEnvironment.complain("on the other machine: darkbloom node code")
    Terminal.hint("its code: ")
    return await LineReader().next() ?? ""
  }

  private func list(_ policy: PlacementPolicy) {
    let nodes = policy.paired.sorted { $0.digest.hex < $1.digest.hex }
    if context.command.has("json") {
      let items = nodes.map {
        JSONValue.members([
          "machine": .string($0.digest.hex), "code": .string(PairingCode.text(of: $0)),
        ])
      }
      print(String(decoding: JSONValue.array(items).encoded, as: UTF8.self))
    } else if nodes.isEmpty {
      print("no machine is paired yet; on one of yours: darkbloom node code")
    } else {
      for node in nodes { print("\(node.digest.hex.prefix(8))\t\(PairingCode.text(of: node))") }
    }
  }
}
