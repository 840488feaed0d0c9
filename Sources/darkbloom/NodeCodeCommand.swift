internal import BloomBase
internal import BloomClient
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// `darkbloom node code`: this machine's identity, for the device of its user.
struct NodeCodeCommand {
  static let spec = CommandSpec(
    "code", "show the code that pairs this machine with a device of yours",
    discussion: """
      The identity is made when there is none yet. It is no secret: whoever has it can ask for this \
      machine, and prove that it is this one. At a terminal a QR code holds it as a link too.
      """,
    options: [CommandContext.data, .json, OptionSpec("no-qr", "the code alone")],
    examples: [
      .init("darkbloom node code", "then on your other device: darkbloom pair"),
      .init("darkbloom node code --json", "for a script that sets machines up"),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() throws -> ExitCode {
    let node = try NodeIdentity.software(folder: folder()).nodeID
    let code = PairingCode.text(of: node)
    if context.command.has("json") {
      let value = JSONValue.members([
        "machine": .string(node.digest.hex), "code": .string(code),
        "link": .string(PairingCode.link(of: node)),
      ])
      print(String(decoding: value.encoded, as: UTF8.self))
      return .done
    }
    if Terminal.hasOutput, !context.command.has("no-qr"),
      let image = QRCode(PairingCode.link(of: node))
    {
      print(image.terminalText)
    }
    print("machine \(node.digest.hex.prefix(8))")
    print("code    \(code)")
    print("on the device that asks: darkbloom pair \(code)")
    return .done
  }

  /// The data folder, or on a device that has joined nothing that of the node which `up` runs.
  private func folder() -> String {
    let own = "\(context.dataFolder)/up"
    let hasJoined = PrivateFile.names(in: context.dataFolder).contains("network.json")
    return !hasJoined && UpLock.isHeld(folder: own) ? "\(own)/node" : context.dataFolder
  }
}
