internal import BloomBase
internal import BloomPlatform

/// Where `scripts/deps-engine` puts llama.cpp and the small models.
public enum EngineFolder: Sendable {
  /// The folder of all its builds.
  public static let path =
    (UserFolders(environment: ProcessEnvironment.current)?.cache ?? "") + "/engine"

  /// The bundled chat model's file.
  public static let model = "\(path)/current/share/models/smollm2-135m-instruct-q8_0.gguf"
}
