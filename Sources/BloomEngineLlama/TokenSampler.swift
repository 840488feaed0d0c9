internal import BloomEngine
internal import CLlama

/// Draws the tokens of one choice: penalties, filters, grammar, and a draw by counter.
@safe
final class TokenSampler: @unchecked Sendable {
  // @unchecked: made on the preparing thread, then used on the decoding thread only.
  let handle: OpaquePointer
  private let model: LlamaModel

  /// Creates a sampler.
  ///
  /// - Parameters:
  ///   - model: Kept alive as long as the sampler.
  ///   - request: Its sampling and seed.
  ///   - choice: Part of what the randomness is a function of.
  ///   - format: The grammar and its triggers, if any.
  /// - Throws: ``EngineError`` with `grammar` when it cannot be compiled.
  init(
    model: LlamaModel, request: EngineRequest, choice: Int, format: ChatFormat?
  ) throws(EngineError) {
    let sampling = request.sampling
    let bias = sampling.logitBias.sorted { $0.key < $1.key }
    let tokens = bias.map(\.key)
    let values = bias.map(\.value)
    var made: OpaquePointer?
    let result = unsafe tokens.withUnsafeBufferPointer { tokens in
      unsafe values.withUnsafeBufferPointer { values in
        var parameters = unsafe lcc_sampling()
        unsafe parameters.temperature = sampling.temperature
        unsafe parameters.top_p = sampling.topP
        unsafe parameters.min_p = sampling.minP
        unsafe parameters.frequency_penalty = sampling.frequencyPenalty
        unsafe parameters.presence_penalty = sampling.presencePenalty
        unsafe parameters.repeat_penalty = sampling.repeatPenalty
        unsafe parameters.top_k = Int32(sampling.topK)
        unsafe parameters.reasoning_tokens = Int32(clamping: sampling.reasoningTokens ?? -1)
        unsafe parameters.seed = request.seed
        unsafe parameters.choice = UInt64(choice)
        unsafe parameters.bias_tokens = tokens.baseAddress
        unsafe parameters.bias_values = values.baseAddress
        unsafe parameters.bias_count = tokens.count
        return unsafe lcc_sampler_create(model.handle, &parameters, format?.handle, &made)
      }
    }
    _ = unsafe try take(result)
    guard let made = unsafe made else { throw EngineError(.engine, "no sampler was made") }
    unsafe handle = made
    self.model = model
  }

  deinit { unsafe lcc_sampler_free(handle) }

  /// Tells the grammar and the penalties about a token.
  func accept(_ token: Int32) throws(EngineError) {
    guard unsafe lcc_sampler_accept(handle, token) == LCC_OK else {
      throw EngineError(.grammar, "a token does not fit the grammar")
    }
  }
}
