extension EngineSampling {
  /// What a request gets that names no sampling: the model file's own recommendation.
  ///
  /// Where the file is silent, the values are llama.cpp's server's: OpenAI's defaults (temperature
  /// 1 over the whole vocabulary) let small and quantised models stray. They are a function of the
  /// file alone, so that every machine with the model draws alike.
  ///
  /// - Parameter metadata: A text of the GGUF file's metadata; `nil` where it has none. Values out
  ///   of range are passed over.
  /// - Returns: The sampling.
  public static func recommended(_ metadata: (String) -> String?) -> EngineSampling {
    func value(_ name: String, in range: ClosedRange<Float>) -> Float? {
      guard let value = metadata("general.sampling.\(name)").flatMap({ Float($0) }),
        range.contains(value)
      else { return nil }
      return value
    }
    var sampling = EngineSampling()
    sampling.temperature = value("temp", in: 0...2) ?? 0.8
    sampling.topK = value("top_k", in: 0...1_000_000).map { Int($0) } ?? 40
    sampling.topP = value("top_p", in: 0...1) ?? 0.95
    sampling.minP = value("min_p", in: 0...1) ?? 0.05
    sampling.repeatPenalty = value("penalty_repeat", in: 0.5...2) ?? 1
    return sampling
  }
}
