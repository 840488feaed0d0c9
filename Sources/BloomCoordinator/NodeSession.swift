internal import BloomBase
internal import BloomLink
internal import BloomRecords
internal import BloomSchedule
internal import BloomWire

/// One node's connection as the hub keeps it; touched on the hub only.
final class NodeSession {
  let id: SessionID
  let outbox: TwoLaneQueue
  var machine: CoordinatorLinkMachine
  var node: NodeID?
  var record: AppraisedRecord? {
    didSet { if record?.statementDigest != oldValue?.statementDigest { readStatement = nil } }
  }
  private var readStatement: KeyStatement?
  var heardAt: Instant
  var isSuspect = false
  /// Streams that the node has not ended, also of clients that left: their receipts are checked too.
  var streams: [StreamID: Relay] = [:]
  var models: [ModelPresence] = []
  var capacity: Capacity?
  /// What pings say of the way to the node.
  var quality = LinkQuality()
  /// When the node last heard how the network sees it.
  var standingAt: Instant?

  /// The record's statement, kept from the first request on: most machines are idle most of the time.
  var statement: KeyStatement? {
    if readStatement == nil { readStatement = record?.statement() }
    return readStatement
  }

  init(id: SessionID, outbox: TwoLaneQueue, machine: CoordinatorLinkMachine, now: Instant) {
    self.id = id
    self.outbox = outbox
    self.machine = machine
    heardAt = now
  }
}

/// One sealed request between a gateway and its nodes; touched on the hub only.
final class Relay {
  final class Attempt {
    let number: Int
    let node: NodeID
    let session: SessionID
    let stream: StreamID
    /// Recomputes the transcript of what is forwarded, so that receipts are checked unopened.
    var chain: ReceiptChain
    var sealedByteCount = 0
    /// When its first sealed token came.
    var firstTokenAt: Instant?
    /// The last running receipt, while it is not checked yet.
    var unchecked: [UInt8]?
    /// When the next running receipt may be checked.
    var checkAt = Instant(nanoseconds: 0)

    init(number: Int, node: NodeID, session: SessionID, stream: StreamID, chain: ReceiptChain) {
      self.number = number
      self.node = node
      self.session = session
      self.stream = stream
      self.chain = chain
    }
  }

  private(set) var request: SealedRequest
  let arrivedAt: Instant
  let sink = RelaySink()
  var attempts: [Attempt] = []
  /// Whose tokens are the answer: the first that brought one.
  var selected: NodeID?
  var refusal: RelayRefusal?
  /// Nodes that could not open the request, for the gateway to know.
  var unopened: Set<NodeID> = []
  var aliveAt = Instant(nanoseconds: 0)
  /// Receipts on their way into the books; the sink ends after them.
  var settling = 0
  var isEnded = false
  /// Whether the gateway was told that the node is silent.
  var isSuspected = false
  /// Whether the gateway asks for the next part.
  var doubt = PartDoubt()

  init(_ request: SealedRequest, arrivedAt: Instant) {
    self.request = request
    self.arrivedAt = arrivedAt
  }

  /// Lets go of the envelope: no further machine will be given it.
  func dropEnvelope() { request.body = [] }

  var id: RequestID { request.work.id }
}
