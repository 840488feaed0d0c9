internal import BloomBase

/// What a worker says to its agent: on the wire a deterministic CBOR array `[type, …]`.
///
/// Nothing here holds a prompt, an answer or a private key: the agent sees sealed bytes, counts and
/// receipts.
package enum WorkerEvent: Sendable, Equatable {
  /// How much of the model is loaded, 0…1,000.
  case progress(permille: Int)
  /// The worker is locked down, has its keys and serves.
  case ready(WorkerReady)
  /// The keys of a new epoch; those before stay accepted for ten minutes.
  case keys([WorkerKey])
  /// Sign of life, at least every 50 ms while work runs: the age of the engine's own beat.
  case beat(engineAgeMilliseconds: Int, active: Int, queued: Int)
  /// The request was opened and runs.
  case accept(StreamID)
  /// The request is not served; nothing was computed.
  case refuse(StreamID, Reason, retryAfterMilliseconds: Int)
  /// Bytes of the sealed answer, at most 64 KiB, within the credit.
  case chunk(StreamID, [UInt8])
  /// A running receipt.
  case receipt(StreamID, [UInt8])
  /// The answer ended; its last receipt.
  case done(StreamID, receipt: [UInt8])
  /// The request is given back before its end; what was delivered stands.
  case handback(StreamID, Reason, receipt: [UInt8])
  /// What the worker can take.
  case capacity(ModelCapacity)
  /// The worker ends because of this; a public text.
  case failed(String)

  /// The message's number.
  package var type: UInt64 {
    switch self {
    case .progress: 1
    case .ready: 2
    case .keys: 3
    case .beat: 4
    case .accept: 5
    case .refuse: 6
    case .chunk: 7
    case .receipt: 8
    case .done: 9
    case .handback: 10
    case .capacity: 11
    case .failed: 12
    }
  }

  /// The message's bytes.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: 64)
    switch self {
    case .progress(let permille):
      encoder.message(type, fields: 1)
      encoder.unsigned(UInt64(permille))
    case .ready(let ready):
      encoder.message(type, fields: 8)
      ready.encode(into: &encoder)
    case .keys(let keys):
      encoder.message(type, fields: 1)
      encoder.array(keys.count)
      for key in keys { key.encode(into: &encoder) }
    case .beat(let age, let active, let queued):
      encoder.message(type, fields: 3)
      encoder.unsigned(UInt64(age))
      encoder.unsigned(UInt64(active))
      encoder.unsigned(UInt64(queued))
    case .accept(let stream):
      encoder.message(type, fields: 1)
      encoder.unsigned(stream.rawValue)
    case .refuse(let stream, let reason, let retryAfter):
      encoder.message(type, fields: 3)
      encoder.unsigned(stream.rawValue)
      encoder.reason(reason)
      encoder.unsigned(UInt64(retryAfter))
    case .chunk(let stream, let bytes), .receipt(let stream, let bytes),
      .done(let stream, let bytes):
      encoder.message(type, fields: 2)
      encoder.unsigned(stream.rawValue)
      encoder.byteString(bytes)
    case .handback(let stream, let reason, let receipt):
      encoder.message(type, fields: 3)
      encoder.unsigned(stream.rawValue)
      encoder.reason(reason)
      encoder.byteString(receipt)
    case .capacity(let capacity):
      encoder.message(type, fields: 6)
      encoder.byteString(capacity.model.digest.bytes)
      for number in [
        capacity.slots, capacity.active, capacity.queued, capacity.prefillMilliTokensPerSecond,
        capacity.decodeMilliTokensPerSecond,
      ] { encoder.unsigned(UInt64(max(0, number))) }
    case .failed(let text):
      encoder.message(type, fields: 1)
      encoder.text(String(text.prefix(512)))
    }
    return encoder.bytes
  }

  /// Reads one message that fills all bytes; throws `unknownMessage` for a type of a later version.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = try CBORReader(bytes, limits: .worker)
    let (type, fields) = try reader.message()
    try reader.fields(fields, Self.fieldCount(type))
    switch type {
    case 1: self = .progress(permille: try reader.count("permille", maximum: 1_000))
    case 2: self = .ready(try WorkerReady(&reader))
    case 3: self = .keys(try reader.workerKeys())
    case 4:
      self = .beat(
        engineAgeMilliseconds: try reader.count("age", maximum: Limits.milliseconds),
        active: try reader.count("active", maximum: 1 << 16),
        queued: try reader.count("queued", maximum: 1 << 16))
    case 5: self = .accept(try reader.stream())
    case 6:
      self = .refuse(
        try reader.stream(), try reader.reason("reason"),
        retryAfterMilliseconds: try reader.count("retry after", maximum: Limits.milliseconds))
    case 7: self = .chunk(try reader.stream(), try reader.byteString("chunk", 1...Limits.chunk))
    case 8:
      self = .receipt(try reader.stream(), try reader.byteString("receipt", 1...Limits.receipt))
    case 9:
      self = .done(
        try reader.stream(), receipt: try reader.byteString("receipt", 0...Limits.receipt))
    case 10:
      self = .handback(
        try reader.stream(), try reader.reason("reason"),
        receipt: try reader.byteString("receipt", 0...Limits.receipt))
    case 11:
      self = .capacity(
        ModelCapacity(
          model: try reader.modelID("model"), slots: try reader.count("slots", maximum: 1 << 16),
          active: try reader.count("active", maximum: 1 << 16),
          queued: try reader.count("queued", maximum: 1 << 16),
          prefillMilliTokensPerSecond: try reader.count("prefill rate", maximum: 1 << 40),
          decodeMilliTokensPerSecond: try reader.count("decode rate", maximum: 1 << 40)))
    default: self = .failed(try reader.text("text", maximum: 4_096))
    }
    try reader.finish()
  }

  private static func fieldCount(_ type: UInt64) throws(WireError) -> Int {
    switch type {
    case 1, 3, 5, 12: 1
    case 7, 8, 9: 2
    case 4, 6, 10: 3
    case 11: 6
    case 2: 8
    default: throw .unknownMessage(type)
    }
  }
}

extension WorkerKey {
  func encode(into encoder: inout CBOREncoder) {
    encoder.array(5)
    encoder.byteString(suite)
    encoder.byteString(kid.bytes)
    encoder.byteString(encryptionKey)
    encoder.byteString(receiptKey)
    encoder.unsigned(UInt64(max(0, madeAt.seconds)))
  }

  init(_ reader: inout CBORReader) throws(WireError) {
    try reader.array("key", count: 5)
    self.init(
      suite: try reader.byteString("suite", count: 6), kid: try reader.keyID("kid"),
      encryptionKey: try reader.byteString("encryption key", 1...2_048),
      receiptKey: try reader.byteString("receipt key", 1...2_048),
      madeAt: try reader.time("time"))
  }
}

extension WorkerReady {
  func encode(into encoder: inout CBOREncoder) {
    encoder.byteString(model.digest.bytes)
    encoder.array(keys.count)
    for key in keys { key.encode(into: &encoder) }
    encoder.text(engineIdentity)
    encoder.array(facts.count)
    for fact in facts { encoder.text(fact) }
    encoder.byteString(filter.bytes)
    encoder.unsigned(UInt64(max(0, contextTokens)))
    encoder.unsigned(UInt64(max(0, slots)))
    encoder.unsigned(UInt64(max(0, memoryBytes)))
  }

  init(_ reader: inout CBORReader) throws(WireError) {
    self.init(
      model: try reader.modelID("model"), keys: try reader.workerKeys(),
      engineIdentity: try reader.text("engine", maximum: 4_096),
      facts: try reader.list("facts", maximum: 64) { (reader) throws(WireError) in
        try reader.text("fact", maximum: 64)
      },
      filter: try reader.digest("filter"),
      contextTokens: try reader.count("context", maximum: 1 << 26),
      slots: try reader.count("slots", maximum: 1 << 16),
      memoryBytes: try reader.count("memory", maximum: 1 << 50))
  }
}

extension CBORReader {
  fileprivate mutating func workerKeys() throws(WireError) -> [WorkerKey] {
    try list("keys", maximum: WorkerLinkLimits.keys) { (reader) throws(WireError) in
      try WorkerKey(&reader)
    }
  }
}
