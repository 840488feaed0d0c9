package import BloomBase
internal import BloomCrypto
internal import BloomHPKE
package import BloomRecords
package import BloomWire

/// What opening an answer gives, in order.
package enum AnswerEvent: Sendable, Equatable {
  /// The machine that answers, one of those that were asked.
  case began(NodeID)
  /// A frame of content; receipts come as their own event.
  case frame(Frame)
  /// A receipt that matches everything received so far.
  case receipt(Receipt)
  /// The final chunk came with a last receipt: the answer is complete.
  case finished(Receipt)
}

/// Opens one answer and checks its receipts; the mirror of the worker's sealer.
///
/// Feed it bytes as they come. After an error nothing more is read. It holds at most one chunk and
/// one frame, and counts tokens itself.
package struct ResponseOpener: ~Copyable, Sendable {
  private enum Phase: Sendable {
    /// The preamble is not complete.
    case preamble
    /// Chunks are read.
    case open
    /// The final chunk was read.
    case finished
    /// An error was thrown.
    case closed
  }

  private let head: EnvelopeHead
  private let requestBytes: [UInt8]
  private let isContinued: Bool
  private let answers: [AnswerKeys]
  private var phase = Phase.preamble
  private var preamble: [UInt8] = []
  private var answer: OpenAnswer?

  init(_ sealed: SealedRequest) {
    head = sealed.head
    requestBytes = sealed.requestBytes
    isContinued = sealed.isContinued
    answers = sealed.answers
  }

  /// Adds bytes of the sealed answer, cut anywhere.
  ///
  /// - Returns: What they complete, in order.
  /// - Throws: The first thing that is wrong; what was returned before is authentic.
  package mutating func receive(_ bytes: [UInt8]) throws(SealError) -> [AnswerEvent] {
    var events: [AnswerEvent] = []
    try receive(bytes) { events.append($0) }
    return events
  }

  /// Adds bytes and gives each event as it is found, so that none is lost before an error.
  package mutating func receive(
    _ bytes: [UInt8], _ deliver: (AnswerEvent) -> Void
  ) throws(SealError) {
    switch phase {
    case .preamble:
      let missing = AnswerPreamble.byteCount - preamble.count
      preamble.append(contentsOf: bytes.prefix(missing))
      guard let whole = AnswerPreamble(preamble) else { return }
      phase = .closed
      answer = try begin(whole)
      deliver(.began(whole.node))
      try open(bytes.dropFirst(missing), deliver)
    case .open: try open(bytes[...], deliver)
    case .finished:
      guard bytes.isEmpty else {
        phase = .closed
        throw .wire(.trailingBytes)
      }
    case .closed: throw .closed
    }
  }

  /// The transport ended; throws `truncated` unless the final chunk came.
  package borrowing func end() throws(SealError) {
    switch phase {
    case .finished: return
    case .preamble, .open: throw .truncated
    case .closed: throw .closed
    }
  }

  private mutating func open(
    _ bytes: ArraySlice<UInt8>, _ deliver: (AnswerEvent) -> Void
  ) throws(SealError) {
    phase = .closed
    let isFinished = try answer?.receive(bytes, deliver) ?? false
    phase = isFinished ? .finished : .open
  }

  private func begin(_ preamble: AnswerPreamble) throws(SealError) -> OpenAnswer {
    guard
      let keys = answers.first(where: {
        $0.target.node == preamble.node && $0.target.keys.keyID == preamble.key
      })
    else { throw .wrongMachine }
    return try OpenAnswer(
      keys, head: head, request: requestBytes, isContinued: isContinued,
      preamble: preamble)
  }
}
