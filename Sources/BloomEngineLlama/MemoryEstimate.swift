internal import BloomBase
internal import BloomEngine

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

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

/// The system's free memory.
enum SystemMemory {
  /// Bytes that programs can still get without swapping; `nil` when the system does not tell.
  static func availableBytes() -> Int? {
    #if os(Linux)
    guard let file = unsafe fopen("/proc/meminfo", "r") else { return nil }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    while unsafe fgets(&line, Int32(line.count), file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix("MemAvailable:") else { continue }
      return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }
    return nil
    #else
    return nil
    #endif
  }
}
