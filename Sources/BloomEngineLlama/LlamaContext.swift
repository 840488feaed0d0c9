internal import BloomBase
internal import BloomEngine
internal import CLlama

/// One token for the next call of the model.
struct BatchEntry {
  var token: Int32
  var position: Int
  var slot: Int
  var wantsLogits: Bool
}

/// What llama_decode(3) said; its numbers are explained in llama.h.
enum DecodeResult: Equatable {
  case done
  case noRoom
  case aborted
  case failed(Int32)

  init(_ code: Int32) {
    switch code {
    case 0: self = .done
    case 1: self = .noRoom
    case 2: self = .aborted
    default: self = .failed(code)
    }
  }
}

/// The model's memory and computing; used on one thread only.
@safe
final class LlamaContext {
  private let handle: OpaquePointer
  private let memory: OpaquePointer?
  private let beat: BeatBox
  private let model: LlamaModel
  private var batch: llama_batch
  private let batchLimit: Int
  private let pool: OpaquePointer?
  /// Where copies between slots pass through; kept, because fresh pages cost more than the copy.
  private(set) var scratch: [UInt8] = []

  /// Creates the caches.
  ///
  /// - Parameters:
  ///   - model: Kept alive as long as the context.
  ///   - slots: Sequences with a cache each.
  ///   - contextTokens: Tokens of each cache.
  ///   - threads: For computing.
  ///   - beat: Renewed from inside long calculations.
  ///   - time: The clock of the pulse.
  /// - Throws: ``EngineError`` with `memory` when there is not enough.
  init(
    model: LlamaModel, slots: Int, contextTokens: Int, threads: Int, beat: EngineBeat,
    time: any TimeSource
  ) throws(EngineError) {
    var parameters = unsafe llama_context_default_params()
    batchLimit = model.isEmbedder ? contextTokens : max(DecodingProfile.widePieceTokens, slots)
    unsafe parameters.n_ctx = UInt32(contextTokens * slots)
    unsafe parameters.n_seq_max = UInt32(slots)
    unsafe parameters.n_batch = UInt32(batchLimit)
    unsafe parameters.n_ubatch = UInt32(batchLimit)
    unsafe parameters.n_threads = Int32(threads)
    unsafe parameters.n_threads_batch = Int32(threads)
    unsafe parameters.kv_unified = false
    unsafe parameters.no_perf = true
    unsafe parameters.embeddings = model.isEmbedder
    let box = BeatBox(beat: beat, time: time)
    unsafe parameters.abort_callback = { context in
      guard let context = unsafe context else { return false }
      unsafe Unmanaged<BeatBox>.fromOpaque(context).takeUnretainedValue().tick()
      return false
    }
    unsafe parameters.abort_callback_data = Unmanaged.passUnretained(box).toOpaque()
    guard let context = unsafe llama_init_from_model(model.handle, parameters) else {
      throw EngineError(.memory, "there is not enough memory for the context; use fewer slots")
    }
    unsafe handle = context
    unsafe memory = unsafe llama_get_memory(context)
    self.beat = box
    self.model = model
    unsafe batch = unsafe llama_batch_init(Int32(batchLimit), 0, 1)
    // Threads that stay: else llama.cpp starts and ends them for every token.
    var settings = ggml_threadpool_params_default(Int32(threads))
    unsafe pool = threads > 1 ? unsafe ggml_threadpool_new(&settings) : nil
    if let pool = unsafe pool { unsafe llama_attach_threadpool(context, pool, pool) }
  }

  deinit {
    unsafe llama_batch_free(batch)
    unsafe llama_free(handle)
    if let pool = unsafe pool { unsafe ggml_threadpool_free(pool) }
  }

  /// Computes a batch; row numbers of later calls count its entries.
  func decode(_ entries: some Collection<BatchEntry>) -> DecodeResult {
    invariant(!entries.isEmpty && entries.count <= batchLimit, "a batch of a wrong size")
    for (row, entry) in entries.enumerated() {
      unsafe batch.token[row] = entry.token
      unsafe batch.pos[row] = Int32(entry.position)
      unsafe batch.n_seq_id[row] = 1
      if let ids = unsafe batch.seq_id[row] { unsafe ids[0] = Int32(entry.slot) }
      unsafe batch.logits[row] = entry.wantsLogits ? 1 : 0
    }
    unsafe batch.n_tokens = Int32(entries.count)
    return DecodeResult(unsafe llama_decode(handle, batch))
  }

  /// Forgets a slot's tokens from a position on.
  func forget(slot: Int, from position: Int) {
    guard let memory = unsafe memory else { return }
    if unsafe !llama_memory_seq_rm(memory, Int32(slot), Int32(position), -1) {
      // Recurrent memories cannot be cut; they start over.
      unsafe llama_memory_seq_rm(memory, Int32(slot), -1, -1)
    }
  }

  /// Whether a slot holds exactly the positions before `count`.
  func holds(slot: Int, count: Int) -> Bool {
    guard let memory = unsafe memory else { return count == 0 }
    return unsafe llama_memory_seq_pos_max(memory, Int32(slot)) == Int32(count) - 1
  }

  /// Copies what a slot holds to another.
  ///
  /// - Returns: Whether that worked.
  func copy(slot source: Int, to target: Int) -> Bool {
    let size = unsafe llama_state_seq_get_size(handle, Int32(source))
    guard size > 0 else { return false }
    if scratch.count < size { scratch = [UInt8](repeating: 0, count: size) }
    return unsafe scratch.withUnsafeMutableBufferPointer { buffer in
      let used = unsafe llama_state_seq_get_data(handle, buffer.baseAddress, size, Int32(source))
      return unsafe llama_state_seq_set_data(handle, buffer.baseAddress, used, Int32(target)) > 0
    }
  }

  /// Forgets every slot and overwrites the memory with zeros.
  func clear() {
    for index in scratch.indices { scratch[index] = 0 }
    if let memory = unsafe memory { unsafe llama_memory_clear(memory, true) }
  }

  /// Draws the next token from a row.
  func sample(_ sampler: TokenSampler, row: Int, position: Int) throws(EngineError) -> Int32 {
    var token: Int32 = 0
    let code = unsafe lcc_sampler_sample(
      sampler.handle, handle, Int32(row), UInt64(position), &token)
    guard code == LCC_OK else {
      throw EngineError(.grammar, "the grammar allows no further token")
    }
    return token
  }

  /// The log-probabilities of a row.
  func logprobs(row: Int, chosen: Int32, count: Int) -> EngineLogprob? {
    guard let logits = unsafe llama_get_logits_ith(handle, Int32(row)) else { return nil }
    var value: Float = 0
    var tokens = [Int32](repeating: 0, count: count)
    var values = [Float](repeating: 0, count: count)
    unsafe lcc_logprobs(
      logits, Int32(model.vocabularyCount), chosen, Int32(count), &value, &tokens, &values)
    func entry(_ token: Int32, _ value: Float) -> EngineLogprob.Entry {
      EngineLogprob.Entry(
        token: token, bytes: model.bytes(of: token, showsSpecial: true), logprob: value)
    }
    return EngineLogprob(
      chosen: entry(chosen, value), top: zip(tokens, values).map { entry($0, $1) })
  }

  /// The vector of the text computed last in a slot.
  func embedding(slot: Int, width: Int) -> [Float]? {
    guard let values = unsafe llama_get_embeddings_seq(handle, Int32(slot)) else { return nil }
    return unsafe Array(UnsafeBufferPointer(start: values, count: width))
  }

  /// Changes the number of threads from the next call on.
  func setThreads(_ count: Int) {
    unsafe llama_set_n_threads(handle, Int32(count), Int32(count))
  }
}

/// Renews the pulse from llama.cpp's abort callback, which runs after every node of the graph.
private final class BeatBox: @unchecked Sendable {
  // @unchecked: its variables are touched by the one thread that calls back.
  private let beat: EngineBeat
  private let time: any TimeSource
  private var last = Instant(nanoseconds: 0)
  private var stride = 1
  private var left = 1

  /// Nodes between two looks at the clock when nodes are quick.
  private static let mostStride = 16
  /// Beats are wanted more often than every 50 ms.
  private static let longGap = Duration.milliseconds(10)

  init(beat: EngineBeat, time: any TimeSource) {
    self.beat = beat
    self.time = time
  }

  /// Renews the pulse at each node while nodes are slow, as those of large models are.
  ///
  /// A quick node takes far less than a millisecond, and reading the clock at each would cost half
  /// a percent: then every sixteenth is enough.
  func tick() {
    left -= 1
    guard left <= 0 else { return }
    let now = time.now()
    stride = now - last >= Self.longGap ? 1 : min(2 * stride, Self.mostStride)
    (left, last) = (stride, now)
    beat.renew(now)
  }
}
