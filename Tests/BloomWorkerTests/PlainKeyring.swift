import BloomBase
import BloomRecords
import BloomWire
import BloomWorker

/// A keyring without cryptography: an envelope is `kid | token class | request`, a chunk is frames.
final class PlainKeyring: WorkerKeyring {
  struct State: Sendable {
    var made: UInt64 = 0
    var wiped: [KeyID] = []
  }
  let state = Locked(State())
  let padding: PaddingProfile

  init(padding: PaddingProfile = .off) { self.padding = padding }

  func makeEpoch(madeAt: UnixTime) throws(WorkerError) -> [WorkerKey] {
    let number = state.withLock { state in
      state.made += 1
      return state.made
    }
    return [
      WorkerKey(
        suite: [0, 16, 0, 1, 0, 2], kid: KeyID(number), encryptionKey: [1], receiptKey: [2],
        madeAt: madeAt)
    ]
  }

  func wipe(_ kids: [KeyID]) { state.withLock { $0.wiped += kids } }

  func kid(of envelope: [UInt8]) -> KeyID? { KeyID(envelope.prefix(8)) }

  func open(
    _ envelope: [UInt8], evidence: Digest, now: UnixTime
  ) throws(OpeningFailure) -> any OpenedExchange {
    guard envelope.count > 9, let kid = KeyID(envelope.prefix(8)),
      let tokenClass = TokenClass(rawValue: envelope[8]),
      let request = try? CanonicalRequest(decoding: Array(envelope.dropFirst(9)))
    else { throw OpeningFailure(.malformed) }
    return PlainExchange(request, kid: kid, tokenClass: tokenClass, padding: padding)
  }

  /// The bytes of an envelope.
  static func envelope(
    _ request: CanonicalRequest, kid: KeyID = KeyID(1), tokenClass: TokenClass = .upTo64
  ) -> [UInt8] { kid.bytes + [tokenClass.rawValue] + request.encoded }
}

/// Receipts are text: `completion prompt finish`.
final class PlainExchange: OpenedExchange {
  let content: Result<CanonicalRequest, SealedError>
  let routing: Routing
  let kid: KeyID
  let isQueueFull: Bool
  private let state = Locked((queue: [UInt8](), tokens: 0, ticks: 0))

  init(
    _ request: CanonicalRequest, kid: KeyID, tokenClass: TokenClass, padding: PaddingProfile,
    isQueueFull: Bool = false
  ) {
    content = .success(request)
    self.kid = kid
    self.isQueueFull = isQueueFull
    routing = Routing(
      model: ModelID(.zero), kind: request.kind, paddedByteCount: 2048, tokenClass: tokenClass,
      deadlineMilliseconds: 60_000, padding: padding, answer: request.answer.id,
      part: request.part)
  }

  /// Fixed times that were asked for.
  var ticks: Int { state.withLock { $0.ticks } }
  var needsTicks: Bool { routing.padding == .steady && state.withLock { !$0.queue.isEmpty } }

  func send(_ frames: [Frame]) throws(WorkerError) -> [UInt8] {
    state.withLock { state in
      for frame in frames {
        if case .tokens(let tokens) = frame { state.tokens += tokens.tokens.count }
        FrameDecoder.append(frame: frame.encoded, to: &state.queue)
      }
    }
    return routing.padding == .steady ? [] : take()
  }

  func tick() throws(WorkerError) -> [UInt8] {
    state.withLock { $0.ticks += 1 }
    return take()
  }

  func receipt(_ counts: PartCounts) throws(WorkerError) -> (receipt: [UInt8], sealed: [UInt8]) {
    let finish = counts.finish.map { "\($0)" } ?? "running"
    let tokens = state.withLock { $0.tokens }
    let receipt = Array("\(tokens) \(counts.promptTokens) \(finish)".utf8)
    return (receipt, try send([.receipt(receipt)]))
  }

  func finish(_ counts: PartCounts) throws(WorkerError) -> (receipt: [UInt8], sealed: [UInt8]) {
    let (receipt, sealed) = try receipt(counts)
    return (receipt, sealed + take())
  }

  private func take() -> [UInt8] {
    state.withLock { state in
      defer { state.queue = [] }
      return state.queue
    }
  }
}
