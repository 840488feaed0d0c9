internal import BloomBase
internal import BloomEngine

/// What a model will need, before any of it is loaded.
struct MemoryEstimate: Sendable, Equatable {
  /// Weights, with the copy that faster kernels make of them.
  let weightBytes: Int
  /// Keys and values of all slots.
  let cacheBytes: Int
  /// Buffers of the calculation: activations of one piece, logits of one batch.
  let bufferBytes: Int

  /// Estimates from the file's header.
  init(facts: FileFacts, options: LlamaOptions) {
    let context = min(options.contextTokens, max(facts.contextTokens, 1))
    weightBytes = facts.tensorBytes
    cacheBytes = facts.cacheBytesPerToken * context * options.slots
    bufferBytes =
      (32 << 20) + facts.vocabularyCount * 4 * options.slots
      + facts.embeddingWidth * 64 * DecodingProfile.widePieceTokens
  }

  /// Everything together.
  var bytes: Int { weightBytes + cacheBytes + bufferBytes }

  /// Refuses what cannot fit and says how much is missing.
  func check(limit: Int?) throws(EngineError) {
    guard let limit, bytes > limit else { return }
    let mebibyte = 1 << 20
    throw EngineError(
      .memory,
      "the model needs \(bytes / mebibyte) MiB and \(limit / mebibyte) MiB may be used: "
        + "\((bytes - limit + mebibyte - 1) / mebibyte) MiB are missing; close programs, use fewer "
        + "slots or a shorter context, or a smaller model")
  }
}
