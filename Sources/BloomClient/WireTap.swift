package import BloomBase
internal import BloomRecords
package import BloomWire

/// What the coordinator was shown of this device, for its user to look at.
///
/// Kept in memory only, the newest ``limit`` events; sizes, times, names of machines and a sample
/// of the ciphertext, which is all that left. Safe from any thread.
package final class WireTap: Sendable {
  /// One thing that the coordinator saw.
  package struct Event: Sendable, Hashable {
    /// Counts from 1 without gaps; a gap for a reader means that older events were dropped.
    package let number: Int
    /// Wall clock.
    package let time: UnixTime
    /// Milliseconds since the gateway started.
    package let milliseconds: Int
    /// What it saw.
    package let sight: Sight
  }

  /// Kinds of what it sees.
  package enum Sight: Sendable, Hashable {
    /// The directory or a manifest was fetched: a path without names of users, and bytes.
    case directory(byteCount: Int)
    /// A sealed request left.
    case request(Request)
    /// A piece of an answer came through it: `byteCount` is of what is sealed in it, `node` is
    /// there when a machine took the request.
    case record(answer: AnswerID, part: Int, kind: String, byteCount: Int, node: NodeID?)
    /// It refused.
    case refusal(reason: String)
  }

  /// A sealed request as the coordinator sees it.
  package struct Request: Sendable, Hashable {
    /// The answer's id.
    package let answer: AnswerID
    /// The part, 0 for the first.
    package let part: Int
    /// The model.
    package let model: ModelID
    /// The kind of job.
    package let kind: String
    /// Bytes of the padded request inside the seal.
    package let paddedByteCount: Int
    /// Bytes of the whole envelope.
    package let envelopeByteCount: Int
    /// The most tokens of the answer, as a class.
    package let tokenLimit: Int
    /// How the answer is padded.
    package let padding: String
    /// The machines it may go to.
    package let candidates: [NodeID]
    /// The first bytes of the ciphertext.
    package let sample: [UInt8]
  }

  /// Events kept.
  package static let limit = 2048
  private static let sampleBytes = 24
  private let time: any TimeSource
  private let start: Instant
  private let state = Locked(State())

  private struct State: Sendable {
    var events: [Event] = []
    var next = 1
    var isClosed = false
  }

  /// Creates an empty record.
  package init(time: any TimeSource) {
    self.time = time
    start = time.now()
  }

  /// The events after a number, oldest first.
  package func events(after number: Int) -> [Event] {
    state.withLock { state in
      let first = state.events.firstIndex { $0.number > number } ?? state.events.endIndex
      return Array(state.events[first...])
    }
  }

  /// Whether nothing more will come.
  package var isClosed: Bool { state.withLock { $0.isClosed } }

  /// The gateway stops: whoever follows the events should leave.
  package func close() { state.withLock { $0.isClosed = true } }

  /// Notes what was shown.
  package func note(_ sight: Sight) {
    let now = time.unixTime()
    let milliseconds = Int((time.now() - start).wholeNanoseconds / 1_000_000)
    state.withLock { state in
      state.events.append(
        Event(number: state.next, time: now, milliseconds: milliseconds, sight: sight))
      state.next += 1
      // Half at once, so that a full record costs no move of all events each time.
      if state.events.count > Self.limit { state.events.removeFirst(Self.limit / 2) }
    }
  }

  /// Notes an envelope that leaves.
  func note(envelope: [UInt8]) {
    // An envelope of this program's own making always has a prefix.
    guard let prefix = try? EnvelopePrefix.read(envelope) else { return }
    let routing = prefix.head.routing
    note(
      .request(
        Request(
          answer: routing.answer, part: routing.part, model: routing.model,
          kind: routing.kind.name, paddedByteCount: routing.paddedByteCount,
          envelopeByteCount: envelope.count, tokenLimit: routing.tokenClass.tokens,
          padding: "\(routing.padding)", candidates: prefix.candidates.map(\.node),
          sample: Array(envelope.dropFirst(prefix.byteCount).prefix(Self.sampleBytes)))))
  }

  /// Notes a record that came.
  func note(_ record: OuterRecord, answer: AnswerID, part: Int) {
    var byteCount = 0
    var node: NodeID?
    let kind: String
    switch record {
    case .accepted(let taker):
      node = taker
      kind = "accepted"
    case .sealed(let bytes):
      byteCount = bytes.count
      kind = "sealed"
    case .alive: kind = "alive"
    case .attemptFailed: kind = "attempt-failed"
    case .settled: kind = "settled"
    case .queued: kind = "queued"
    case .suspected: kind = "suspected"
    }
    note(.record(answer: answer, part: part, kind: kind, byteCount: byteCount, node: node))
  }
}

extension WireTap.Event {
  /// The event as one JSON object.
  package var json: JSONValue {
    var members: [JSONValue.Member] = []
    func add(_ name: String, _ value: JSONValue) { members.append(JSONValue.Member(name, value)) }
    add("number", .integer(number))
    add("time", .integer(time.seconds))
    add("milliseconds", .integer(milliseconds))
    switch sight {
    case .directory(let byteCount):
      add("event", .string("directory"))
      add("bytes", .integer(byteCount))
    case .request(let request):
      add("event", .string("request"))
      add("answer", .string("\(request.answer)"))
      add("part", .integer(request.part))
      add("model", .string(request.model.digest.hex))
      add("kind", .string(request.kind))
      add("padded_bytes", .integer(request.paddedByteCount))
      add("bytes", .integer(request.envelopeByteCount))
      add("token_limit", .integer(request.tokenLimit))
      add("padding", .string(request.padding))
      add("candidates", .array(request.candidates.map { .string($0.digest.hex) }))
      add("ciphertext", .string(Hex.encode(request.sample)))
    case .record(let answer, let part, let kind, let byteCount, let node):
      add("event", .string(kind))
      add("answer", .string("\(answer)"))
      add("part", .integer(part))
      add("bytes", .integer(byteCount))
      if let node { add("machine", .string(node.digest.hex)) }
    case .refusal(let reason):
      add("event", .string("refused"))
      add("reason", .string(reason))
    }
    return .object(members)
  }
}
