internal import BloomBase
internal import BloomPlatform

/// The small models that come with Darkbloom, so that a first start needs nothing else.
struct BundledModels {
  /// What to do when they are not here.
  static let absence =
    "the bundled model is not here: install the package darkbloom-model-small, or run `make deps` "
    + "in a source tree, or name a model: darkbloom up --model FILE.gguf"

  /// The chat model's builds, the faster first (a package carries the smaller), and one that
  /// embeds.
  private static let wanted = [
    ["smollm2-135m-instruct-q8_0.gguf", "smollm2-135m-instruct-q4_1.gguf"],
    ["minilm-l6-v2-f16.gguf"],
  ]

  /// Paths of what is there; empty when there is no chat model.
  let files: [String]

  /// Looks where the environment says, else where a package and then the set-up script put them.
  init(_ context: CommandContext) {
    let folders =
      context.environment["DARKBLOOM_BUNDLED_MODELS"].map { [$0] } ?? [
        // The programs of a package lie in lib/darkbloom.
        "\(ProcessEnvironment.programFolder)/../../share/darkbloom/models",
        "\(context.folders.cache)/engine/current/share/models",
      ]
    files = folders.lazy.map(Self.files).first { !$0.isEmpty } ?? []
  }

  private static func files(in folder: String) -> [String] {
    let names = PrivateFile.names(in: folder)
    let found = wanted.map { builds in builds.first { names.contains($0) } }
    guard found[0] != nil else { return [] }  // nothing to talk to
    return found.compactMap { $0.map { "\(folder)/\($0)" } }
  }
}
