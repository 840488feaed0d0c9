internal import BloomBase
internal import BloomGateway
internal import BloomHTTP
internal import BloomModels
internal import BloomNet
internal import BloomPlatform
internal import BloomWire

/// `darkbloom up`: coordinator, node and gateway on this machine, as processes of their own.
struct UpCommand {
  static let spec = CommandSpec(
    "up", "run the whole network on this machine",
    discussion: """
      Starts a coordinator, a node with its workers and a gateway, each as its own process, with the \
      bundled small model or any GGUF file, and stops them on Ctrl-C.
      """,
    options: [
      CommandContext.data, CommandContext.models, CommandContext.logLevel, GatewayCommand.port,
      GatewayCommand.config,
      OptionSpec(
        "model", value: "FILE", "a GGUF file to serve instead of the bundled model", repeats: true),
      OptionSpec("threads", value: "N", "compute threads of each worker"),
      OptionSpec("slots", value: "N", "requests at once for each model"),
      GatewayCommand.keepContent, GatewayCommand.exact,
    ],
    examples: [
      .init("darkbloom up", "with the bundled model"),
      .init("darkbloom up --model ~/models/qwen3-8b.gguf", "with a better one"),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let shutdown = ShutdownSignal()
    try await shutdown.run { try await start() }
    return .done
  }

  private func start() async throws {
    let settings = try GatewayCommand.settings(context)
    let data = "\(context.dataFolder)/up"
    for folder in ["coordinator", "node", "catalog"] {
      try PrivateFile.makeFolder("\(data)/\(folder)")
    }
    let lock = try UpLock(folder: data)
    defer { withExtendedLifetime(lock) {} }
    try await checkPort(settings)
    let models = try await prepareModels(data)
    try Task.checkCancellation()

    let network = "\(data)/coordinator/local.json"
    try PrivateFile.write([], to: network)
    var children = Children()
    do {
      // Variables of a coordinator are for one that an operator runs, not for the local one.
      try await children.start(
        "coordinator", "darkbloom-coordinator",
        [
          "serve", "--local", "--data", "\(data)/coordinator", "--listen", "127.0.0.1:0",
          "--catalog", "\(data)/catalog", "--log",
          context.command.value("log-level") ?? "warning",
        ], keepsSettings: false)
      let started = children
      try await Waiting.say("starting the coordinator") { try await waitForFile(network, started) }
      // Whoever starts a network on one machine sits in front of it.
      var node = ["node", "run", "--always", "--data", "\(data)/node", "--network", network]
      node += ["--models", context.modelFolder] + models.flatMap { ["--model", $0.name] }
      if let threads = try context.command.integer("threads", in: 1...256) {
        node += ["--threads", "\(threads)"]
      }
      if let slots = try context.command.integer("slots", in: 1...64) {
        node += ["--slots", "\(slots)"]
      }
      if logging.isEmpty { node += ["--log-level", "warning"] }
      try await children.start("node", "darkbloom", node + logging)
      let flags = ["keep-content", "exact"].filter(context.command.has).map { "--" + $0 }
      let config = context.command.value("config").map { ["--config", $0] } ?? []
      try await children.start(
        "gateway", "darkbloom",
        [
          "gateway", "--data", context.dataFolder, "--network", network, "--port",
          "\(settings.port)",
        ] + flags + config + logging)
      let all = children
      let loading = LoadingState(socket: "\(data)/node/node.sock")
      let token = try await Waiting.say(
        "starting node and gateway: the model is loaded, and its process locked down",
        detail: { await loading.text() }
      ) {
        try await waitUntilReady(settings, models.count, all)
      }
      announce(settings, token, models)
      let witness = Task { await FirstAnswer(context: context).tell() }
      defer { witness.cancel() }
      try await children.waitForFirstExit()
    } catch {
      if error is CancellationError { ProcessEnvironment.complain("· stopping") }
      await children.stop()
      throw error
    }
    await children.stop()
  }

  /// Says what is wrong before anything is started, when somebody has the port already.
  private func checkPort(_ settings: GatewaySettings) async throws {
    let client = HTTPClient(GatewayClient.configuration(settings))
    defer { client.close() }
    let port = settings.port
    let other = UsageError(
      "port \(port) is in use by \(PortHolder.name(ofPort: port) ?? "another program"): choose "
        + "another one: darkbloom up --port N")
    do {
      let response = try await client.send(
        try ClientRequest.get(settings.localURL + "/livez"), timeout: .seconds(2))
      let body = try await response.body.collect(upTo: 4096)
      let isGateway = (try? JSONValue(decoding: body))?["status"]?.string == "ok"
      guard isGateway else { throw other }
      let holder = PortHolder.name(ofPort: port).map { ", \($0)," } ?? ""
      throw UsageError(
        "a gateway\(holder) answers on port \(port) already: use it (darkbloom env), stop it, or "
          + "choose another port: darkbloom up --port N")
    } catch let error as NetError where error.code == .connectFailed {
      return
    } catch is NetError {
      throw other
    } catch is HTTPError {
      throw other
    }
  }

  private var logging: [String] {
    context.command.value("log-level").map { ["--log-level", $0] } ?? []
  }

  // MARK: Models

  private func prepareModels(_ data: String) async throws -> [ModelManifest] {
    let store = try ModelStore(root: context.modelFolder)
    var files = context.command.all("model")
    if files.isEmpty {
      files = BundledModels(context).files
      if files.isEmpty { throw UsageError(BundledModels.absence) }
    }
    var manifests: [ModelManifest] = []
    for file in files {
      let name = file.split(separator: "/").last.map(String.init) ?? file
      let manifest = try await Waiting.say("reading \(name)") {
        try await store.add(file, inPlace: true)
      }
      try PrivateFile.write(
        manifest.encoded, to: "\(data)/catalog/\(manifest.id.digest.hex).manifest")
      manifests.append(manifest)
    }
    return manifests
  }

  // MARK: Waiting

  private func waitForFile(_ path: String, _ children: Children) async throws {
    for _ in 0..<600 {
      if let bytes = try PrivateFile.read(path), !bytes.isEmpty { return }
      try children.check()
      try await Task.sleep(for: .milliseconds(50))
    }
    throw UsageError("the coordinator did not start within 30 s; see its messages above")
  }

  /// Ready means that a request would succeed: every model is listed by the gateway.
  private func waitUntilReady(
    _ settings: GatewaySettings, _ count: Int, _ children: Children
  ) async throws -> String {
    let client = HTTPClient(GatewayClient.configuration(settings))
    for _ in 0..<2400 {
      try children.check()
      if let token = try PrivateFile.read("\(context.dataFolder)/gateway-token"), !token.isEmpty {
        let text = String(decoding: token, as: UTF8.self)
        var request = try ClientRequest.get(settings.localURL + "/v1/models")
        request.headers.add(.authorization, try HTTPFieldValue("Bearer " + text))
        // Not listening yet, or no machine yet: asked again until the time is up.
        if let response = try? await client.send(request, timeout: .seconds(5)),
          response.status == .ok,
          let body = try? await response.body.collect(upTo: 1 << 20),
          let list = (try? JSONValue(decoding: body))?["data"]?.items, list.count >= count
        {
          client.close()
          return text
        }
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw UsageError(
      "the network was not ready within 4 minutes; see the messages above, and whether your policy "
        + "takes this machine: darkbloom policy show")
  }

  private func announce(
    _ settings: GatewaySettings, _ token: String, _ models: [ModelManifest]
  ) {
    let base = "\(settings.scheme)://localhost:\(settings.port)/v1"
    let chat = models.first { $0.kind == .chat }?.name ?? models.first?.name ?? ""
    let isBundled = context.command.all("model").isEmpty
    print(
      """
      darkbloom is up: \(base)

        curl \(base)/chat/completions \\
          -H 'authorization: Bearer \(token)' -H 'content-type: application/json' \\
          -d '{"model":"\(chat)","messages":[{"role":"user","content":"Hello!"}]}'

        from openai import OpenAI
        client = OpenAI(base_url="\(base)", api_key="\(token)")
        print(client.chat.completions.create(model="\(chat)", messages=[
            {"role": "user", "content": "Hello!"}]).choices[0].message.content)

      """)
    if isBundled {
      print(
        "The bundled model is small and only shows that everything works; "
          + "a better one: darkbloom up --model FILE.gguf")
    }
    print("Ctrl-C stops everything.")
    ProcessEnvironment.flush()
  }
}
