package import BloomBase

/// What the coordinator tells a gateway on the response body of a sealed request, in clear.
///
/// On the wire: `type(1) | attempt(1) | varint(length) | payload`. Content is only ever in
/// ``sealed(_:)``, which the coordinator cannot read.
package enum OuterRecord: Sendable, Equatable {
  /// A node took the request.
  case accepted(node: NodeID)
  /// Bytes of the sealed answer, in order, cut anywhere.
  case sealed([UInt8])
  /// The node works; every 100 ms, so that silence means something.
  case alive
  /// This attempt ended without a final chunk.
  case attemptFailed(reason: Reason, isRetriable: Bool, retryAfterMilliseconds: Int)
  /// What was booked for the answer's last receipt.
  case settled(receipt: Digest, cost: Micros)
  /// The request waits: 1 is next; the estimate is in milliseconds.
  case queued(position: Int, estimateMilliseconds: Int)
  /// The node that works is silent for longer than it may: the next part may begin beside it.
  case suspected

  /// The largest payload of one record, 64 KiB.
  package static let maximumPayload = 65_536

  /// Appends the record as attempt number `attempt`, 0…255.
  package func append(attempt: UInt8, to bytes: inout [UInt8]) {
    var payload = CBOREncoder(capacity: 48)
    switch self {
    case .accepted(let node):
      payload.byteString(node.digest.bytes)
      Self.append(0, attempt, payload.bytes[...], to: &bytes)
    case .sealed(let sealed): Self.append(1, attempt, sealed[...], to: &bytes)
    case .alive: Self.append(2, attempt, [], to: &bytes)
    case .attemptFailed(let reason, let isRetriable, let retryAfter):
      payload.array(3)
      payload.unsigned(UInt64(reason.rawValue))
      payload.bool(isRetriable)
      payload.unsigned(UInt64(retryAfter))
      Self.append(3, attempt, payload.bytes[...], to: &bytes)
    case .settled(let receipt, let cost):
      payload.array(2)
      payload.byteString(receipt.bytes)
      payload.integer(cost.rawValue)
      Self.append(4, attempt, payload.bytes[...], to: &bytes)
    case .queued(let position, let estimate):
      payload.array(2)
      payload.unsigned(UInt64(position))
      payload.unsigned(UInt64(estimate))
      Self.append(5, attempt, payload.bytes[...], to: &bytes)
    case .suspected: Self.append(6, attempt, [], to: &bytes)
    }
  }

  /// Appends a `sealed` record without building the case, for the forwarding path.
  package static func appendSealed(
    _ sealed: ArraySlice<UInt8>, attempt: UInt8, to bytes: inout [UInt8]
  ) {
    append(1, attempt, sealed, to: &bytes)
  }

  private static func append(
    _ type: UInt8, _ attempt: UInt8, _ payload: ArraySlice<UInt8>, to bytes: inout [UInt8]
  ) {
    invariant(payload.count <= maximumPayload, "outer record too large")
    bytes.append(type)
    bytes.append(attempt)
    Varint.append(payload.count, to: &bytes)
    bytes.append(contentsOf: payload)
  }

  /// Reads a payload; `nil` for a type that this version does not know.
  fileprivate init?(type: UInt8, payload: ArraySlice<UInt8>) throws(WireError) {
    if type == 1 {
      self = .sealed(Array(payload))
      return
    }
    if type == 2 || type == 6 {
      guard payload.isEmpty else { throw .trailingBytes }
      self = type == 2 ? .alive : .suspected
      return
    }
    var reader = try CBORReader(Array(payload))
    switch type {
    case 0: self = .accepted(node: try reader.nodeID("accepted node"))
    case 3:
      try reader.array("attempt-failed", count: 3)
      self = .attemptFailed(
        reason: try reader.reason("reason"), isRetriable: try reader.bool("retriable"),
        retryAfterMilliseconds: try reader.count("retry after", maximum: Limits.milliseconds))
    case 4:
      try reader.array("settled", count: 2)
      self = .settled(
        receipt: try reader.digest("receipt digest"), cost: Micros(try reader.integer("cost")))
    case 5:
      try reader.array("queued", count: 2)
      self = .queued(
        position: try reader.count("position", maximum: 1 << 30),
        estimateMilliseconds: try reader.count("estimate", maximum: Limits.milliseconds))
    default: return nil
    }
    try reader.finish()
  }
}

/// Cuts a response body into records, whatever the pieces it arrives in.
///
/// Memory is bounded by one record and one piece. After an error the body is lost.
package struct OuterRecordDecoder: Sendable {
  /// A record and the attempt that it belongs to.
  package struct Item: Sendable, Equatable {
    /// Which of the coordinator's tries, from 0.
    package let attempt: UInt8
    /// The record.
    package let record: OuterRecord
  }

  private var buffer: [UInt8] = []
  private var start = 0

  /// Starts before the first record.
  package init() {}

  /// Adds a piece of the body.
  package mutating func append(_ bytes: [UInt8]) {
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next complete record; `nil` when more bytes are needed.
  ///
  /// Unknown types are passed over.
  package mutating func next() throws(WireError) -> Item? {
    while buffer.count - start > 2 {
      let length = try Varint.read(
        buffer, at: start + 2, maximum: OuterRecord.maximumPayload)
      guard let length else { return nil }
      let payload = start + 2 + length.byteCount
      guard buffer.count - payload >= length.value else { return nil }
      let type = buffer[start]
      let attempt = buffer[start + 1]
      start = payload + length.value
      let record = try OuterRecord(type: type, payload: buffer[payload..<start])
      if let record { return Item(attempt: attempt, record: record) }
    }
    return nil
  }

  /// Whether the body ended between records; a body that does not was cut off.
  package var isAtBoundary: Bool { start == buffer.count }
}
