internal import BloomBase
internal import BloomCrypto
internal import BloomOpen
internal import BloomRecords
internal import BloomWire

/// An opened request with the sealer of its answer.
final class SealedExchange: OpenedExchange, @unchecked Sendable {
  // @unchecked: `sealer` is used by one `AnswerRun`, an actor, and by nobody else.

  let content: Result<CanonicalRequest, SealedError>
  let routing: Routing
  let kid: KeyID
  private var sealer: ResponseSealer

  init(
    _ content: Result<CanonicalRequest, SealedError>, _ routing: Routing, kid: KeyID,
    sealer: consuming ResponseSealer
  ) {
    self.content = content
    self.routing = routing
    self.kid = kid
    self.sealer = sealer
  }

  var isQueueFull: Bool { sealer.queuedByteCount > ResponseSealer.maximumQueue }
  var needsTicks: Bool { sealer.needsTicks }

  func send(_ frames: [Frame]) throws(WorkerError) -> [UInt8] {
    var bytes: [UInt8] = []
    do throws(CryptoError) { try sealer.send(frames, into: &bytes) } catch { throw .seal }
    return bytes
  }

  func tick() throws(WorkerError) -> [UInt8] {
    var bytes: [UInt8] = []
    do throws(CryptoError) { try sealer.tick(into: &bytes) } catch { throw .seal }
    return bytes
  }

  func receipt(_ counts: PartCounts) throws(WorkerError) -> (receipt: [UInt8], sealed: [UInt8]) {
    var bytes: [UInt8] = []
    do throws(RecordError) {
      let receipt = try sealer.receipt(ReceiptCounts(counts), into: &bytes)
      return (receipt.encoded, bytes)
    } catch { throw .seal }
  }

  func finish(_ counts: PartCounts) throws(WorkerError) -> (receipt: [UInt8], sealed: [UInt8]) {
    var bytes: [UInt8] = []
    do throws(RecordError) {
      let receipt = try sealer.finish(ReceiptCounts(counts), into: &bytes)
      return (receipt.encoded, bytes)
    } catch { throw .seal }
  }
}

extension ReceiptCounts {
  fileprivate init(_ counts: PartCounts) {
    self.init(
      promptTokens: counts.promptTokens, replayedTokens: counts.replayedTokens,
      finish: counts.finish, end: counts.end, sampling: counts.sampling, mode: counts.mode)
  }
}

extension WorkerError {
  /// Sealing or signing failed; which, is nobody's business outside.
  fileprivate static let seal = WorkerError(.engine, "an answer cannot be sealed")
}
