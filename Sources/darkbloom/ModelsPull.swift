internal import BloomBase
internal import BloomModels
internal import BloomNet
internal import BloomNode

/// `darkbloom models pull`: fetches a model over HTTPS and believes nothing but digests.
struct ModelsPull {
  static let spec = CommandSpec(
    "pull", "fetch a model over HTTPS; a pull that was broken off goes on where it stopped",
    discussion: """
      MODEL is a model's id, as `models list --json` prints it: its manifest comes from a mirror as \
      MIRROR/manifests/ID and its files as MIRROR/sha256-HEX. Or it is the URL of one GGUF file, whose \
      digest you state. Bytes that do not have their digest never get a name.
      """,
    options: [
      CommandContext.models,
      OptionSpec(
        "from", value: "URL", "a mirror, asked in the order given", repeats: true,
        environment: "DARKBLOOM_MIRROR"),
      OptionSpec("sha256", value: "HEX", "the digest that the file of a URL must have"),
      OptionSpec("name", value: "NAME", "the name for clients of a file from a URL"),
      OptionSpec(
        "settings", value: "DIR", "folder of node.json5, for limits.disk_mib and the proxy"),
      .json,
    ],
    arguments: [ArgumentSpec("MODEL", "a model's id, or the https URL of a GGUF file")],
    examples: [
      .init(
        "darkbloom models pull 3f2a… --from https://models.example.org", "a model that a mirror has"
      ),
      .init(
        "darkbloom models pull https://example.org/qwen3-8b.gguf --sha256 9c1b…",
        "any GGUF file whose digest you know"),
    ])

  private let context: CommandContext
  private let store: ModelStore

  init(_ context: CommandContext, _ store: ModelStore) {
    self.context = context
    self.store = store
  }

  func run() async throws -> ModelManifest {
    let wanted = context.command.arguments.first ?? ""
    if wanted.contains("://") { return try await file(at: wanted) }
    let given = context.command.all("from")
    guard !given.isEmpty else {
      throw UsageError("name a mirror with --from URL, or pull the URL of a GGUF file")
    }
    guard let id = Digest(Hex.decode(wanted) ?? []).map({ ModelID($0) }) else {
      throw UsageError("a model's id has 64 hexadecimal digits; models list --json prints it")
    }
    guard !context.command.has("sha256"), !context.command.has("name") else {
      throw UsageError("--sha256 and --name go with the URL of a file; a manifest has its own")
    }
    let options = try options(given)
    return try await watched { progress in
      let download = ModelDownload(store: store, options: options, onProgress: progress)
      let manifest = try await download.manifest(id)
      try await download.run(manifest)
      return manifest
    }
  }

  private func file(at url: String) async throws -> ModelManifest {
    guard let text = context.command.value("sha256"), let digest = Digest(Hex.decode(text) ?? [])
    else {
      throw UsageError("give the file's digest with --sha256 HEX, 64 digits; a URL proves nothing")
    }
    let options = try options([url])
    let name = context.command.value("name")
    return try await watched { progress in
      try await ModelDownload(store: store, options: options, onProgress: progress)
        .file(sha256: digest, name: name)
    }
  }

  /// What the owner of this machine allows, also where no node runs.
  private func options(_ mirrors: [String]) throws -> ModelDownload.Options {
    let owner = try OwnerSettingsFile(
      folder: context.command.value("settings") ?? context.folders.configuration
    ).load()
    var options = ModelDownload.Options(mirrors: mirrors)
    options.diskLimitBytes = UInt64(owner.limits.diskMebibytes) << 20
    options.client.proxy = try ProxyChoice(
      setting: owner.proxy, environment: context.environment)
    return options
  }

  /// Says how far a pull is while it lasts.
  private func watched(
    _ body: (@escaping @Sendable (ModelPuller.Progress) -> Void) async throws -> ModelManifest
  ) async throws -> ModelManifest {
    let last = Locked<ModelPuller.Progress?>(nil)
    return try await Waiting.say("fetching", detail: { last.withLock { Self.text($0) } }) {
      try await body { progress in last.withLock { $0 = progress } }
    }
  }

  private static func text(_ progress: ModelPuller.Progress?) -> String? {
    progress.map { "\($0.fileName) \($0.byteCount >> 20) of \($0.totalBytes >> 20) MiB" }
  }
}
