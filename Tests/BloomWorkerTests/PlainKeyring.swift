import BloomBase
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
    _ envelope: [UInt8], evidence: Digest
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

extension PlainKeyring {
  /// Receipts are text: `completion prompt finish`.
  static func receipt(_ counts: ReceiptCounts) -> [UInt8] {
    let finish = counts.finish.map { "\($0)" } ?? "running"
    return Array("\(counts.completionTokens) \(counts.promptTokens) \(finish)".utf8)
  }
}

final class PlainExchange: OpenedExchange {
  let request: CanonicalRequest
  let kid: KeyID
  let tokenClass: TokenClass
  let deadlineMilliseconds = 60_000
  let padding: PaddingProfile

  init(
    _ request: CanonicalRequest, kid: KeyID, tokenClass: TokenClass, padding: PaddingProfile
  ) {
    self.request = request
    self.kid = kid
    self.tokenClass = tokenClass
    self.padding = padding
  }

  func head() throws(WorkerError) -> [UInt8] { [] }
  func seal(_ frames: [Frame]) throws(WorkerError) -> [UInt8] {
    var bytes: [UInt8] = []
    for frame in frames { FrameDecoder.append(frame: frame.encoded, to: &bytes) }
    return bytes
  }
  func receipt(_ counts: ReceiptCounts) throws(WorkerError) -> [UInt8] {
    PlainKeyring.receipt(counts)
  }
  func finish(_ receipt: [UInt8]) throws(WorkerError) -> [UInt8] { try seal([.receipt(receipt)]) }
}
