internal import BloomBase
internal import BloomNet
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// `darkbloom node enroll` and `darkbloom node leave`: whose this machine is.
struct NodeEnrolment {
  static let enrollSpec = CommandSpec(
    "enroll", "join this machine to an account",
    discussion: """
      Proves the machine's identity key and shows a code that its owner approves. With the invite \
      of a link for machines nobody needs to approve it.
      """,
    options: [
      CommandContext.data, NodeSetup.settings, .json,
      OptionSpec("name", value: "NAME", "how you call the machine"),
      OptionSpec("region", value: "REGION", "where it is, as you say, for example eu"),
      OptionSpec("pools-only", "answer your pools alone, not the whole network"),
    ],
    examples: [.init("darkbloom node enroll --name attic", "shows a code to approve")])

  static let leaveSpec = CommandSpec(
    "leave", "take this machine out of its account",
    options: [
      CommandContext.data, .json,
      NodeSetup.socket, NodeSetup.settings,
      OptionSpec("purge", "end the service, and forget identity, receipts and settings too"),
    ],
    examples: [.init("darkbloom node leave --purge", "as if it had never served")])

  private let setup: NodeSetup
  private var context: CommandContext { setup.context }

  init(_ setup: NodeSetup) { self.setup = setup }

  private var path: String { JoinedNetwork.path(context.dataFolder) }

  // MARK: enroll

  func enroll() async throws -> ExitCode {
    var network = try JoinedNetwork(path: path)
    let identity = try NodeIdentity.software(folder: context.dataFolder)
    let client = try client(network)
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
      print("this machine belongs to \(account) now; serve with: darkbloom node start")
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
    return try identity.enrolmentProof(purpose, challenge: challenge, logKey: network.logKey)
  }

  /// A client that goes the way the node's link goes: through the owner's proxy where there is one.
  private func client(_ network: JoinedNetwork) throws -> AccountClient {
    var configuration = HTTPClient.Configuration()
    configuration.proxy = try ProxyChoice(
      setting: setup.settingsFile.load().proxy, environment: context.environment)
    return AccountClient(base: network.url, apiKey: nil, http: HTTPClient(configuration))
  }

  // MARK: leave

  func leave() async throws -> ExitCode {
    let data = context.dataFolder
    let purges = context.command.has("purge")
    let isRunning = (try? await setup.ask(.status)) != nil
    // Settings and service of another data folder are another node's.
    let service = NodeServiceCommand(setup)
    let isInstalled = try service.isInstalled(for: data)
    let isUsers =
      isInstalled || data == context.folders.data || context.command.value("settings") != nil
    if purges {
      try await service.end(endsService: isInstalled)
    } else if isRunning {
      throw UsageError("the node runs; end it first: darkbloom node stop")
    }
    var left = Left(purged: purges)
    if NodeIdentity.exists(in: data), try PrivateFile.read(path) != nil {
      left = try await leaveAccount(data, purges)
    } else if !purges {
      throw UsageError("this machine is in no account: it has no identity, or joined no network")
    }
    left.hasSettings = isUsers
    if purges { purge(data, withSettings: isUsers) }
    left.tell(context.command.has("json"), data)
    return .done
  }

  /// What came of leaving.
  private struct Left {
    var node: NodeID?
    var isTold = false
    var problem: String?
    /// Whether settings and service were this node's, and went too.
    var hasSettings = false
    let purged: Bool

    init(purged: Bool) { self.purged = purged }

    func tell(_ json: Bool, _ data: String) {
      if json {
        let value = JSONValue.members([
          "node": node.map { .string($0.digest.hex) } ?? .null, "left": .bool(isTold),
          "problem": problem.map { .string($0) } ?? .null, "purged": .bool(purged),
        ])
        print(String(decoding: value.encoded, as: UTF8.self))
        return
      }
      let name = node.map { "the machine \($0.digest.hex.prefix(8))" } ?? "this machine"
      if let problem {
        print("\(problem); an account may list \(name) until its owner removes it there")
      } else {
        print("\(name) is in no account any more")
      }
      if purged {
        let more = hasSettings ? ", with settings and service" : "; settings in another place stay"
        print("what the node kept in \(data) is gone\(more)")
        print("model files stay; remove them with: darkbloom models rm NAME")
      }
    }
  }

  private func leaveAccount(_ data: String, _ purges: Bool) async throws -> Left {
    let network = try JoinedNetwork(path: path)
    let identity = try NodeIdentity.software(folder: data)
    var left = Left(purged: purges)
    left.node = identity.nodeID
    do {
      let client = try client(network)
      let members = try await proof(.leave, identity, network, client)
      _ = try await client.post("/v1/enrol/leave", object: .object(members))
      left.isTold = true
    } catch let refusal as AccountClient.Refusal where purges {
      // In no account, or nobody there to tell: what is left is to forget the files.
      if refusal.reason != "not_found" { left.problem = refusal.publicDescription }
    }
    return left
  }

  /// Removes what the node keeps; the gateway's files and model files stay.
  private func purge(_ data: String, withSettings: Bool) {
    for name in PrivateFile.names(in: data) where Self.isNodes(name) {
      PrivateFile.remove("\(data)/\(name)")
    }
    // A node that was killed left it; it is no regular file.
    PrivateFile.remove(setup.socketPath)
    // The gateway keeps its own there under other names.
    for name in PrivateFile.names(in: "\(data)/receipts") where Hex.decode(name)?.count == 32 {
      PrivateFile.remove("\(data)/receipts/\(name)")
    }
    // A device that also asks keeps its account and its network.
    let asks = (try? JoinedNetwork(path: path))?.apiKey != nil
    if !asks, !PrivateFile.names(in: data).contains("gateway-token") { PrivateFile.remove(path) }
    if withSettings { PrivateFile.remove(setup.settingsFile.path) }
    // Folders that hold something else stay: rmdir(2) refuses them.
    for folder in ["\(data)/receipts", data] { _ = unsafe rmdir(folder) }
  }

  private static func isNodes(_ name: String) -> Bool {
    [
      "identity.p8", "starts", "paused", "lock", "node.sock", "usage.json", "accepted", "doctor",
    ].contains(name)
      || name.hasSuffix(".draft")
  }
}
