internal import BloomBase
internal import BloomCrypto
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// `darkbloom node enroll` and `darkbloom node leave`: whose this machine is.
struct NodeEnrolment {
  static let enrollSpec = CommandSpec(
    "enroll", "join this machine to an account",
    discussion: """
      Proves the machine's identity key and shows a code that its owner approves. With the invite \
      of a link for machines nobody needs to approve it.
      """,
    options: [
      CommandContext.data, .json,
      OptionSpec("name", value: "NAME", "how you call the machine"),
      OptionSpec("region", value: "REGION", "where it is, as you say, for example eu"),
      OptionSpec("pools-only", "answer your pools alone, not the whole network"),
    ],
    examples: [.init("darkbloom node enroll --name attic", "shows a code to approve")])

  static let leaveSpec = CommandSpec(
    "leave", "take this machine out of its account",
    options: [
      CommandContext.data, .json,
      OptionSpec("purge", "forget its identity, receipts and settings too"),
    ],
    examples: [.init("darkbloom node leave --purge", "as if it had never served")])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  private var path: String { JoinedNetwork.path(context.dataFolder) }

  // MARK: enroll

  func enroll() async throws -> ExitCode {
    var network = try JoinedNetwork(path: path)
    let identity = try NodeIdentity.software(folder: context.dataFolder)
    let client = AccountClient(base: network.url, apiKey: nil)
    var members = try await proof(.enrol, identity, network, client)
    members += [
      .init("kind", .string("node")),
      .init("name", .string(context.command.value("name") ?? "machine")),
      .init("private", .bool(context.command.has("pools-only"))),
    ]
    if let region = context.command.value("region") {
      members.append(.init("region", .string(region)))
    }
    if let invite = network.invite { members.append(.init("invite", .string(invite))) }
    var granted = try await client.post("/v1/device/code", object: .object(members))
    if granted["device_code"] != nil {
      granted = try await DeviceWait(client: client).wait(granted)
    }
    if network.invite != nil {
      network.invite = nil
      try network.write(to: path)
    }
    if context.command.has("json") {
      print(String(decoding: granted.encoded, as: UTF8.self))
    } else {
      let account = granted["account"]?.string ?? "?"
      print("this machine belongs to \(account) now; serve with: darkbloom node run")
    }
    return .done
  }

  /// Signs the coordinator's challenge for the network that this device pinned.
  private func proof(
    _ purpose: EnrolmentProof.Purpose, _ identity: NodeIdentity, _ network: JoinedNetwork,
    _ client: AccountClient
  ) async throws -> [JSONValue.Member] {
    let answer = try await client.post("/v1/enrol/challenge")
    guard let challenge = answer["challenge"]?.string.flatMap({ Hex.decode($0) }),
      challenge.count == 32
    else {
      throw AccountClient.Refusal(
        reason: "malformed", publicDescription: "the coordinator's answer cannot be read")
    }
    let message = EnrolmentProof.message(purpose, challenge: challenge, logKey: network.logKey)
    let signature = try identity.signer.sign(message)
    let key = identity.signer.verifyingKey.subjectPublicKeyInfo
    return [
      .init("identity", .string(Hex.encode(key))),
      .init("challenge", .string(Hex.encode(challenge))),
      .init("signature", .string(Hex.encode(signature))),
    ]
  }

  // MARK: leave

  func leave() async throws -> ExitCode {
    let data = context.dataFolder
    let isRunning = (try? await NodeConsoleClient(socket: "\(data)/node.sock").ask(.status)) != nil
    guard !isRunning else {
      throw UsageError("the node runs; stop it first, then leave")
    }
    let network = try JoinedNetwork(path: path)
    let identity = try NodeIdentity.software(folder: data)
    let client = AccountClient(base: network.url, apiKey: nil)
    do {
      let members = try await proof(.leave, identity, network, client)
      _ = try await client.post("/v1/enrol/leave", object: .object(members))
    } catch let refusal as AccountClient.Refusal where refusal.reason == "not_found" {
      // It is in no account: what is left is to forget the files.
      guard context.command.has("purge") else { throw refusal }
    }
    if context.command.has("purge") { purge(data) }
    if context.command.has("json") {
      let value = JSONValue.members([
        "node": .string(identity.nodeID.digest.hex),
        "purged": .bool(context.command.has("purge")),
      ])
      print(String(decoding: value.encoded, as: UTF8.self))
    } else {
      print("the machine \(identity.nodeID.digest.hex.prefix(8)) is in no account any more")
      if context.command.has("purge") { print("its identity and receipts are gone from \(data)") }
    }
    return .done
  }

  /// Removes what the node keeps; the gateway's files and model files stay.
  private func purge(_ data: String) {
    for name in PrivateFile.names(in: data) where Self.isNodes(name) {
      PrivateFile.remove("\(data)/\(name)")
    }
    // The gateway keeps its own there under other names.
    for name in PrivateFile.names(in: "\(data)/receipts") where Hex.decode(name)?.count == 32 {
      PrivateFile.remove("\(data)/receipts/\(name)")
    }
  }

  private static func isNodes(_ name: String) -> Bool {
    ["identity.p8", "starts", "owner.json", "paused", "lock", "node.sock"].contains(name)
      || name.hasSuffix(".draft")
  }
}
