internal import BloomBase
internal import BloomModels
internal import BloomWire

/// `darkbloom models`: the model files on this machine.
struct ModelsCommand {
  static let spec = CommandSpec(
    "models", "list, pull, add, verify and remove model files",
    subcommands: [
      CommandSpec(
        "list", "models in the store",
        options: [
          CommandContext.models, .json,
          OptionSpec("found", "models that Ollama and llama.cpp have on this machine"),
        ],
        examples: [
          .init("darkbloom models list", "what this machine can serve"),
          .init("darkbloom models list --found", "what it could add without a download"),
        ]),
      CommandSpec(
        "add", "add a GGUF file, or a model of Ollama or llama.cpp where it lies",
        options: [
          CommandContext.models,
          OptionSpec("name", value: "NAME", "the name for clients, the file's own unless given"),
          OptionSpec("in-place", "link to the file instead of copying it"),
        ],
        arguments: [
          ArgumentSpec("FILE", "a GGUF file, or a name that `models list --found` shows")
        ],
        examples: [
          .init("darkbloom models add ./qwen3-8b.gguf", "copy a file into the store"),
          .init("darkbloom models add ollama:llama3.2:3b", "use Ollama's copy in place"),
        ]),
      ModelsPull.spec,
      CommandSpec(
        "verify", "check every byte of a model against its manifest",
        options: [CommandContext.models], arguments: [ArgumentSpec("NAME", "a model's name")],
        examples: [.init("darkbloom models verify qwen3-8b", "after a copy or a disk's fault")]),
      CommandSpec(
        "rm", "remove a model's files",
        options: [
          CommandContext.models,
          OptionSpec("unfinished", "remove what pulls left that were broken off, and no model"),
        ],
        arguments: [ArgumentSpec("NAME", "a model's name", isOptional: true)],
        examples: [.init("darkbloom models rm qwen3-8b", "gives its space back")]),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let store = try ModelStore(root: context.modelFolder)
    let name = context.command.arguments.first ?? ""
    switch context.command.path.last {
    case "list":
      if context.command.has("found") {
        let found = FoundModels(environment: context.environment)
        print(found.printed(asJSON: context.command.has("json")))
      } else {
        try list(store)
      }
    case "add":
      let given = context.command.value("name")
      let manifest =
        if let found = try FoundModels(environment: context.environment).find(name) {
          try await store.add(found, name: given)
        } else {
          try await store.add(name, name: given, inPlace: context.command.has("in-place"))
        }
      print("added \(manifest.name) (\(manifest.id))")
    case "pull":
      let manifest = try await ModelsPull(context, store).run()
      if context.command.has("json") {
        print(String(decoding: Self.json(manifest).encoded, as: UTF8.self))
      } else {
        print("pulled \(manifest.name) (\(manifest.id)); every byte is right")
      }
    case "verify":
      try await store.verify(try store.manifest(named: name))
      print("every byte of \(name) is as its manifest says")
    case "rm" where context.command.has("unfinished"):
      print("\(try store.removeUnfinished() / 1_048_576) MiB freed")
    case "rm" where name.isEmpty: throw UsageError("name a model, or give --unfinished")
    case "rm":
      let freed = try store.remove(try store.manifest(named: name).id)
      print("removed \(name), \(freed / 1_048_576) MiB freed")
    default: throw UsageError("choose one of list, pull, add, verify, rm")
    }
    return .done
  }

  private func list(_ store: ModelStore) throws {
    let manifests = try store.list()
    if context.command.has("json") {
      print(String(decoding: JSONValue.array(manifests.map(Self.json)).encoded, as: UTF8.self))
      return
    }
    if manifests.isEmpty {
      print("no models yet; add one with: darkbloom models add FILE.gguf")
    } else {
      for manifest in manifests {
        print(
          "\(manifest.name)\t\(manifest.weightBytes / 1_048_576) MiB\t"
            + "context \(manifest.contextTokens)\t\(manifest.licence)")
      }
    }
    let (count, bytes) = try store.unfinished()
    if count > 0 {
      print(
        "\(count) unfinished, \(bytes >> 20) MiB: pull again to go on, or darkbloom models rm "
          + "--unfinished")
    }
  }

  private static func json(_ manifest: ModelManifest) -> JSONValue {
    .members([
      "name": .string(manifest.name), "id": .string(manifest.id.digest.hex),
      "bytes": .integer(Int64(clamping: manifest.weightBytes)),
      "context_tokens": .integer(Int64(manifest.contextTokens)),
    ])
  }
}
