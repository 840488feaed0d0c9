import BloomBase
import BloomNet
import BloomPlatform
import Testing

/// Calls of functions through a whole network with real weights: the bundled model with the
/// template of one that knows tools.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ToolCallTests {
  @Test func `the official packages get calls that fit their schema`() async throws {
    let folder = try LocalNetwork.makeFolder()
    let model = "\(folder)/tools.gguf"
    let share = try Self.engineFolder()
    let made = try await LocalNetwork.python(
      "tool_model.py",
      [
        "\(share)/models/smollm2-135m-instruct-q4_1.gguf",
        "\(share)/templates/Qwen-Qwen2.5-7B-Instruct.jinja", model,
      ])
    try #require(made == Subprocess.Exit(code: 0, signal: 0))
    let network = try await LocalNetwork.start(in: folder, model: model)
    let peer = try await LocalNetwork.python(
      "live_tools.py", ["http://127.0.0.1:\(network.port)", network.token, "tools"])
    #expect(peer == Subprocess.Exit(code: 0, signal: 0))
    #expect(try await network.stop() == Subprocess.Exit(code: 0, signal: 0))
    PrivateFile.remove(model)
  }

  /// The engine's folder of models and templates.
  private static func engineFolder() throws -> String {
    let environment = ProcessEnvironment.current
    if let models = environment["DARKBLOOM_BUNDLED_MODELS"] { return "\(models)/.." }
    let folders = try #require(UserFolders(environment: environment))
    return "\(folders.cache)/engine/current/share"
  }
}
