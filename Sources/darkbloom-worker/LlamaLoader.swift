import BloomBase
import BloomEngine
import BloomEngineLlama
import BloomModels
import BloomPlatform
import BloomWire

/// Gives an order's open files to llama.cpp.
enum LlamaLoader {
  /// Loads the weights of an order.
  ///
  /// - Parameters:
  ///   - order: What the agent wants.
  ///   - manifest: What the files are; checked.
  ///   - progress: Hears 0…1 and says whether to go on.
  /// - Returns: The running engine.
  /// - Throws: ``EngineError`` when the model cannot be loaded here.
  static func load(
    _ order: WorkerOrder, _ manifest: ModelManifest,
    _ progress: @escaping @Sendable (Float) -> Bool
  ) async throws(EngineError) -> any BloomEngine {
    guard !manifest.files.contains(where: { $0.role == .projector }) else {
      throw EngineError(
        .unsupported, "this release has no encoder for pictures and sound; add the weights alone")
    }
    guard manifest.files.count == 1, let weights = order.descriptors.first else {
      throw EngineError(.unsupported, "this engine takes models of one file")
    }
    var options = LlamaOptions()
    options.name = manifest.name
    if order.contextTokens > 0 { options.contextTokens = order.contextTokens }
    if order.slots > 0 { options.slots = order.slots }
    // Read while the files of the system still are open: loading comes before that step.
    let threads = order.threads > 0 ? order.threads : HardwareFacts.current().usableCores
    options.threads = min(threads, LlamaOptions.mostThreads)
    if order.memoryBytes > 0 { options.memoryLimitBytes = order.memoryBytes }
    return try await LlamaEngine.load(descriptor: weights, options: options, progress: progress)
  }
}
