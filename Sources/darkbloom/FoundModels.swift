internal import BloomBase
internal import BloomModels
internal import BloomWire

/// Models that Ollama and llama.cpp have on this machine; they can be served where they lie.
struct FoundModels {
  /// A model and the word before its name on the command line.
  struct Found {
    let program: String
    let entry: ForeignCache.Entry
    var name: String { "\(program):\(entry.name)" }
  }

  let models: [Found]

  /// Looks into the folders that those programs use, and into the ones their variables name.
  init(environment: [String: String]) {
    let home = environment["HOME"] ?? ""
    let cache = environment["XDG_CACHE_HOME"] ?? "\(home)/.cache"
    let ollama = ForeignCache.ollama(root: environment["OLLAMA_MODELS"] ?? "\(home)/.ollama/models")
    let own = environment["LLAMA_CACHE"] ?? "\(cache)/llama.cpp"
    let hub =
      environment["HF_HUB_CACHE"] ?? environment["HF_HOME"].map { "\($0)/hub" }
      ?? "\(cache)/huggingface/hub"
    let llama =
      ForeignCache.llama(root: own) + ForeignCache.huggingFace(root: own)
      + ForeignCache.huggingFace(root: hub)
    models =
      ollama.map { Found(program: "ollama", entry: $0) }
      + llama.map { Found(program: "llama.cpp", entry: $0) }
  }

  /// The model of a name such as `ollama:llama3.2:3b`; `nil` for a name of another form.
  func find(_ name: String) throws(ModelsError) -> ForeignCache.Entry? {
    guard name.hasPrefix("ollama:") || name.hasPrefix("llama.cpp:") else { return nil }
    guard let found = models.first(where: { $0.name == name }) else {
      throw ModelsError(.notFound, "\(name); darkbloom models list --found shows what there is")
    }
    return found.entry
  }

  /// The list for people, or for programs.
  func printed(asJSON: Bool) -> String {
    if asJSON {
      let items = models.map {
        JSONValue.members(["name": .string($0.name), "path": .string($0.entry.path)])
      }
      return String(decoding: JSONValue.array(items).encoded, as: UTF8.self)
    }
    if models.isEmpty { return "neither Ollama nor llama.cpp has models here" }
    return models.map { "\($0.name)\t\($0.entry.path)" }.joined(separator: "\n")
  }
}
