internal import BloomBase
internal import BloomOpen
internal import BloomWire
internal import Synchronization

/// Shares an opener, which cannot be copied, between requests: one opens at a time.
///
/// Opening costs microseconds, plus hashing and decrypting the body, which are memory-speed.
final class OpenerBox: Sendable {
  private let opener: Mutex<RequestOpener>

  init(_ opener: consuming sending RequestOpener) { self.opener = Mutex(opener) }

  func open(
    _ envelope: [UInt8], kid: KeyID, now: UnixTime
  ) throws(OpeningFailure) -> any OpenedExchange {
    do throws(OpenError) {
      return try opener.withLock { (opener) throws(OpenError) in
        let opened = try opener.open(envelope, at: now)
        let content = opened.content
        let routing = opened.routing
        let width = content.steadyByteCount
        return SealedExchange(
          content, routing, kid: kid,
          sealer: try opened.answer(start: now, steadyByteCount: width))
      }
    } catch { throw OpeningFailure(error.reason) }
  }
}

extension Result<CanonicalRequest, SealedError> {
  /// Bytes of one chunk at fixed times: larger when every token brings its alternatives.
  fileprivate var steadyByteCount: Int {
    guard case .success(let request) = self, let logprobs = request.body["logprobs"] else {
      return 512
    }
    switch logprobs {
    case .null, .bool(false): return 512
    case .bool, .number, .string, .array, .object: return 4_096
    }
  }
}
