internal import BloomBase
internal import BloomEngine
internal import CLlama

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Takes a result of the shim: its bytes, or its error in our words.
///
/// The shim's own messages may quote the request, so only those of requests, limits and templates,
/// which go back to the client alone, are passed on.
func take(_ result: lcc_result) throws(EngineError) -> [UInt8] {
  defer { unsafe lcc_free(result.bytes) }
  let bytes = unsafe Array(UnsafeBufferPointer(start: result.bytes, count: result.count))
  let code = unsafe lcc_code(rawValue: UInt32(result.code))
  if code == LCC_OK { return bytes }
  let text = String(decoding: bytes.prefix(300), as: UTF8.self)
  throw switch code {
  case LCC_E_REQUEST: EngineError(.badRequest, text)
  case LCC_E_TEMPLATE: EngineError(.template, "the model's chat template failed: \(text)")
  case LCC_E_GRAMMAR: EngineError(.grammar, "the grammar or schema cannot be used: \(text)")
  case LCC_E_LIMIT: EngineError(.limit, text)
  case LCC_E_OUTPUT: EngineError(.engine, "the model's output does not fit its format")
  default: EngineError(.engine, "the engine failed inside llama.cpp")
  }
}

/// A loaded model: weights and vocabulary.
///
/// Reading it is safe from any thread.
@safe
final class LlamaModel: @unchecked Sendable {
  // @unchecked: llama.cpp never changes a model after it was loaded.
  let handle: OpaquePointer
  let vocabulary: OpaquePointer
  let vocabularyCount: Int
  let facts: FileFacts

  /// Loads a model; blocks for as long as it takes.
  ///
  /// - Parameters:
  ///   - descriptor: Of a GGUF file; may be closed afterwards.
  ///   - facts: What ``FileFacts/init(descriptor:)`` read from it.
  ///   - progress: Called with 0…1; returns whether to go on.
  /// - Throws: ``EngineError`` with `model` or `cancelled`.
  init(
    descriptor: Int32, facts: FileFacts, progress: (Float) -> Bool
  ) throws(EngineError) {
    guard lcc_layout() == Self.layout else {
      throw EngineError(.engine, "the engine's header and library differ; run make deps")
    }
    var loaded: OpaquePointer?
    var wasCancelled = false
    let result = withoutActuallyEscaping(progress) { progress in
      var box = ProgressBox(progress: progress)
      let result = unsafe withUnsafeMutablePointer(to: &box) { pointer in
        unsafe lcc_model_load(
          descriptor,
          { fraction, context in
            guard let context = unsafe context else { return true }
            let box = unsafe context.assumingMemoryBound(to: ProgressBox.self)
            let goesOn = unsafe box.pointee.progress(fraction)
            if !goesOn { unsafe box.pointee.wasCancelled = true }
            return goesOn
          }, pointer, &loaded)
      }
      wasCancelled = box.wasCancelled
      return unsafe result
    }
    if wasCancelled {
      unsafe lcc_free(result.bytes)
      throw EngineError(.cancelled, "loading was cancelled")
    }
    do {
      _ = unsafe try take(result)
    } catch {
      throw EngineError(.model, "the model file is damaged or of an unknown kind")
    }
    guard let loaded = unsafe loaded, let vocabulary = unsafe llama_model_get_vocab(loaded) else {
      throw EngineError(.model, "the model file has no vocabulary")
    }
    unsafe handle = loaded
    unsafe self.vocabulary = vocabulary
    vocabularyCount = Int(unsafe llama_vocab_n_tokens(vocabulary))
    self.facts = facts
  }

  deinit { unsafe llama_model_free(handle) }

  private struct ProgressBox {
    let progress: (Float) -> Bool
    var wasCancelled = false
  }

  /// The layout of the two structures that cross the border, as this compiler sees it.
  private static let layout: UInt64 = {
    let model = unsafe MemoryLayout<llama_model_params>.size
    let context = unsafe MemoryLayout<llama_context_params>.size
    return UInt64(model) << 32 | UInt64(context)
  }()

  /// The tokens of a text.
  ///
  /// - Parameters:
  ///   - text: UTF-8.
  ///   - addsSpecial: Whether the model's begin-of-text token is put before it.
  ///   - readsSpecial: Whether text such as `<|im_end|>` becomes its token; only for templates.
  /// - Returns: Token ids.
  /// - Throws: ``EngineError`` with `limit` for a text of more than 1 GiB.
  func tokenize(_ text: [UInt8], addsSpecial: Bool, readsSpecial: Bool) throws(EngineError)
    -> [Int32]
  {
    guard text.count < 1 << 30 else { throw EngineError(.limit, "the prompt is too large") }
    var tokens = [Int32](repeating: 0, count: text.count + 8)
    let count = unsafe text.withUnsafeBytes { bytes in
      unsafe tokens.withUnsafeMutableBufferPointer { buffer in
        unsafe llama_tokenize(
          vocabulary, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(text.count),
          buffer.baseAddress, Int32(buffer.count), addsSpecial, readsSpecial)
      }
    }
    guard count >= 0 else { throw EngineError(.limit, "the prompt cannot be tokenized") }
    return Array(tokens.prefix(Int(count)))
  }

  /// The bytes of a token; empty for control tokens unless `showsSpecial`.
  func bytes(of token: Int32, showsSpecial: Bool = false) -> [UInt8] {
    var room = 64
    while true {
      var count: Int32 = 0
      let bytes = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, used in
        count = unsafe buffer.withMemoryRebound(to: CChar.self) {
          unsafe llama_token_to_piece(
            vocabulary, token, $0.baseAddress, Int32(room), 0, showsSpecial)
        }
        used = Int(max(0, count))
      }
      if count >= 0 { return bytes }
      room = Int(-count)
    }
  }

  /// Whether a token ends the answer.
  func isEnd(_ token: Int32) -> Bool { unsafe llama_vocab_is_eog(vocabulary, token) }

  /// A text of the file's metadata.
  func metadata(_ key: String) -> String? {
    var room = [CChar](repeating: 0, count: 512)
    let count = unsafe llama_model_meta_val_str(handle, key, &room, room.count)
    guard count >= 0 else { return nil }
    let bytes = room.prefix(min(Int(count), room.count - 1)).map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Whether the model gives one vector for a text instead of the next token.
  var isEmbedder: Bool {
    guard let architecture = metadata("general.architecture") else { return false }
    return metadata("\(architecture).pooling_type").map { $0 != "0" } ?? false
  }
}

/// What a GGUF file's header says, read without loading it.
struct FileFacts: Sendable, Equatable {
  var tensorBytes: Int
  var contextTokens: Int
  var cacheBytesPerToken: Int
  var embeddingWidth: Int
  var vocabularyCount: Int

  /// Reads the header defensively; a damaged file or one that is shorter than it claims throws.
  init(descriptor: Int32) throws(EngineError) {
    var facts = lcc_file_facts()
    do {
      _ = unsafe try take(lcc_file_inspect(descriptor, &facts))
    } catch {
      throw EngineError(.model, "the model file is not a readable GGUF file")
    }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, facts.file_bytes <= UInt64(max(0, status.st_size))
    else {
      throw EngineError(.model, "the model file is shorter than its header says; load it again")
    }
    // A cache of 64 slots and 2^24 tokens then stays below 2^62 bytes: no estimate overflows.
    guard facts.tensor_bytes < 1 << 50, facts.kv_token_bytes < 1 << 32,
      facts.context_tokens < 1 << 40
    else { throw EngineError(.model, "the model file's header holds impossible numbers") }
    tensorBytes = Int(facts.tensor_bytes)
    contextTokens = Int(facts.context_tokens)
    cacheBytesPerToken = Int(facts.kv_token_bytes)
    embeddingWidth = Int(min(facts.embedding_width, 1 << 24))
    vocabularyCount = Int(min(facts.vocabulary, 1 << 30))
  }
}
