internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// `darkbloom login`: gets this device a key of an account, or approves another device's.
struct LoginCommand {
  static let spec = CommandSpec(
    "login", "connect this device to your account",
    discussion: """
      Without an account, on a network that takes everybody, --new makes one. login approve CODE \
      lets another device into your account: look at its screen before you type the code.
      """,
    options: [
      CommandContext.data, .json,
      OptionSpec("name", value: "NAME", "how the key or the account is called"),
      OptionSpec("pool", value: "POOL", "a key for the machines of one pool only"),
      OptionSpec("new", "make a new account, where the network takes everybody"),
      OptionSpec("deny", "with approve: refuse the device"),
    ],
    arguments: [
      ArgumentSpec("approve", "let another device in", isOptional: true),
      ArgumentSpec("CODE", "what that device shows", isOptional: true),
    ],
    examples: [
      .init("darkbloom login", "shows a code that you approve elsewhere"),
      .init("darkbloom login approve WDJB-MJHT", "lets the device with this code in"),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  private var path: String { JoinedNetwork.path(context.dataFolder) }

  func run() async throws -> ExitCode {
    let words = context.command.arguments
    guard let verb = words.first else { return try await logIn() }
    guard verb == "approve", words.count == 2 else {
      throw UsageError("it is: darkbloom login, or darkbloom login approve CODE")
    }
    return try await approve(words[1])
  }

  private func logIn() async throws -> ExitCode {
    var network = try JoinedNetwork(path: path)
    let client = AccountClient.anonymous(network, context)
    let name = JSONValue.string(context.command.value("name") ?? "device")
    let granted: JSONValue
    if context.command.has("new") {
      granted = try await client.post("/v1/signup", ["name": name])
    } else {
      let pool = context.command.value("pool").map { JSONValue.string($0) } ?? .null
      let grant = try await client.post(
        "/v1/device/code", ["kind": .string("key"), "name": name, "pool": pool])
      granted = try await DeviceWait(client: client).wait(grant)
    }
    guard let key = granted["api_key"]?.string, let account = granted["account"]?.string else {
      throw AccountClient.Refusal(
        reason: "malformed", publicDescription: "the coordinator's answer cannot be read")
    }
    network.apiKey = key
    network.pool = granted["pool"]?.string
    try network.write(to: path)
    if context.command.has("json") {
      let value = JSONValue.members([
        "account": .string(account), "pool": network.pool.map { .string($0) } ?? .null,
      ])
      print(String(decoding: value.encoded, as: UTF8.self))
    } else {
      let place = network.pool.map { ", for the machines of the pool \($0) only" } ?? ""
      print("logged in as \(account)\(place); start asking with: darkbloom gateway")
    }
    return .done
  }

  private func approve(_ code: String) async throws -> ExitCode {
    let network = try JoinedNetwork.current(context)
    _ = try network.requireKey()
    let client = AccountClient(network, context)
    let isApproved = !context.command.has("deny")
    let subject = try await client.post(
      "/v1/device/approve", ["user_code": .string(code), "approve": .bool(isApproved)])
    if context.command.has("json") {
      print(String(decoding: subject.encoded, as: UTF8.self))
      return .done
    }
    let name = subject["name"]?.string ?? "?"
    let what =
      subject["node"]?.string.map { "the machine \($0.prefix(8)) (\(name))" }
      ?? "a key for \(name)"
    Terminal.tell(isApproved ? "\(what) is in your account now" : "\(what) was refused")
    return .done
  }
}
