package import BloomBase
package import BloomWire

/// What a serving worker does with commands: pure, events in, effects out.
///
/// It holds requests until they are complete, bounds them, and knows which run; opening, computing
/// and sealing are the driver's.
package struct WorkerSession: Sendable {
  /// Bounds of one worker, apart from the engine's own queue.
  package enum Limits: Sendable {
    /// Requests that are being received or run.
    package static let streams = 128
    /// Bytes of all requests that are being received: four of the largest.
    package static let receivedBytes = 4 * (1 << 26)
    /// What a busy worker tells to wait, in milliseconds.
    package static let retryAfterMilliseconds = 1_000
  }

  /// What the driver must do, in this order.
  package enum Effect: Equatable, Sendable {
    /// Tell the agent.
    case send(WorkerEvent)
    /// Open this complete envelope and run it; then report ``runEnded(_:)``.
    case run(StreamID, envelope: [UInt8], credit: Int)
    /// More answer bytes of a running request may be sent.
    case addCredit(StreamID, byteCount: Int)
    /// Stop a running request; it still signs its last receipt.
    case stop(StreamID, Reason)
    /// Make the keys of a new epoch.
    case renewKeys
    /// Evidence vouches for a key.
    case vouch(KeyID, evidence: Digest)
    /// End the process: nothing is left to do, or the agent broke the protocol.
    case end
  }

  private enum Stream: Sendable {
    /// Not complete: the bytes so far, how many there will be, and the answer's credit.
    case receiving([UInt8], byteCount: Int, credit: Int)
    case running
    /// Told to stop; its last receipt is still to come.
    case stopping
  }

  private enum Phase: Sendable {
    case serving
    /// Nothing new is taken; what runs at the deadline is given back.
    case draining(Reason, deadline: Instant)
  }

  private var phase = Phase.serving
  private var streams: [StreamID: Stream] = [:]
  private var receivedBytes = 0

  /// Starts a serving worker.
  package init() {}

  /// Requests that are being received or run.
  package var streamCount: Int { streams.count }

  /// A command came.
  package mutating func received(_ command: WorkerCommand, now: Instant) -> [Effect] {
    switch command {
    case .load:
      // Loading happens once, before lock-down: a second order cannot be followed.
      return [.send(.failed("a worker loads one model in its life")), .end]
    case .begin(let stream, let byteCount, let credit):
      return began(stream, byteCount: byteCount, credit: credit)
    case .chunk(let stream, let bytes): return received(bytes, of: stream)
    case .credit(let stream, let byteCount): return credited(stream, byteCount)
    case .cancel(let stream, let reason): return cancelled(stream, reason)
    case .rotate: return [.renewKeys]
    case .vouched(let kid, let evidence): return [.vouch(kid, evidence: evidence)]
    case .drain(let reason, let milliseconds):
      phase = .draining(reason, deadline: now + .milliseconds(milliseconds))
      return tick(now: now)
    }
  }

  /// A request ended, whatever way; its last message was sent.
  package mutating func runEnded(_ stream: StreamID) -> [Effect] {
    streams[stream] = nil
    if case .draining = phase, streams.isEmpty { return [.end] }
    return []
  }

  /// Time has passed.
  package mutating func tick(now: Instant) -> [Effect] {
    guard case .draining(let reason, let deadline) = phase else { return [] }
    var effects: [Effect] = []
    for id in streams.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
      switch streams[id] {
      case .receiving:
        forget(id)
        effects.append(refusal(id, reason))
      case .running where now >= deadline:
        streams[id] = .stopping
        effects.append(.stop(id, reason))
      case .running, .stopping, nil: break
      }
    }
    if streams.isEmpty { effects.append(.end) }
    return effects
  }

  private mutating func began(_ stream: StreamID, byteCount: Int, credit: Int) -> [Effect] {
    guard streams[stream] == nil else {
      return [.send(.failed("the agent used a stream twice")), .end]
    }
    if case .draining(let reason, _) = phase { return [refusal(stream, reason)] }
    guard byteCount > 0 else { return [refusal(stream, .malformed)] }
    guard streams.count < Limits.streams,
      receivedBytes + byteCount <= Limits.receivedBytes
    else { return [refusal(stream, .busy)] }
    receivedBytes += byteCount
    streams[stream] = .receiving([], byteCount: byteCount, credit: credit)
    return []
  }

  private mutating func received(_ bytes: [UInt8], of stream: StreamID) -> [Effect] {
    // A refused or cancelled request's chunks may still be on their way: they are dropped.
    guard case .receiving(var held, let byteCount, let credit) = streams[stream] else { return [] }
    // Take the buffer out before growing it, or every chunk would copy the whole request.
    streams[stream] = .running
    held.append(contentsOf: bytes)
    guard held.count <= byteCount else {
      receivedBytes -= byteCount
      streams[stream] = nil
      return [refusal(stream, .malformed)]
    }
    guard held.count == byteCount else {
      streams[stream] = .receiving(held, byteCount: byteCount, credit: credit)
      return []
    }
    receivedBytes -= byteCount
    return [.run(stream, envelope: held, credit: credit)]
  }

  private mutating func credited(_ stream: StreamID, _ byteCount: Int) -> [Effect] {
    switch streams[stream] {
    case .receiving(let held, let total, let credit):
      streams[stream] = .receiving(
        held, byteCount: total, credit: min(credit + byteCount, BloomWire.Limits.envelope))
      return []
    case .running, .stopping: return [.addCredit(stream, byteCount: byteCount)]
    case nil: return []
    }
  }

  private mutating func cancelled(_ stream: StreamID, _ reason: Reason) -> [Effect] {
    switch streams[stream] {
    case .receiving:
      forget(stream)
      return [refusal(stream, reason)]
    case .running:
      streams[stream] = .stopping
      return [.stop(stream, reason)]
    case .stopping, nil: return []
    }
  }

  private mutating func forget(_ stream: StreamID) {
    if case .receiving(_, let byteCount, _) = streams[stream] { receivedBytes -= byteCount }
    streams[stream] = nil
  }

  private func refusal(_ stream: StreamID, _ reason: Reason) -> Effect {
    let wait = reason == .busy ? Limits.retryAfterMilliseconds : 0
    return .send(.refuse(stream, reason, retryAfterMilliseconds: wait))
  }
}
