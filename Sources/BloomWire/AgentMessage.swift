package import BloomBase

/// What a node's agent says to the coordinator on the node link.
///
/// On the wire a deterministic CBOR array `[type, …]`, one a WebSocket binary message.
package enum AgentMessage: Sendable, Equatable {
  /// First message: the versions this agent speaks and its release.
  case hello(versions: ClosedRange<UInt64>, release: Digest)
  /// Answers a challenge: the node record, and HIK's signature over ``LinkProof``.
  case proof(record: [UInt8], binding: ChannelBinding, signature: [UInt8])
  /// A new node record, before the old one's keys expire.
  case record([UInt8])
  /// What the node can take.
  case capacity(Capacity)
  /// Sign of life while work runs, every 100 ms: one for all streams.
  case pulse([Beat])
  /// The node takes the request.
  case accept(StreamID)
  /// The node does not take the request; nothing was opened or will be charged.
  case refuse(StreamID, Reason, retryAfterMilliseconds: Int)
  /// Bytes of the sealed answer, at most 64 KiB, within the credit.
  case chunk(StreamID, [UInt8])
  /// A running receipt.
  case receipt(StreamID, [UInt8])
  /// The answer ended with this receipt; resent from disk, on stream 0, until acknowledged.
  case done(StreamID, receipt: [UInt8])
  /// The node gives the request back before its end; what was delivered stands.
  case handback(StreamID, Reason)
  /// The node takes no new work and ends what runs.
  case draining(Reason)
  /// What the node has on disk and in memory.
  case models([ModelPresence])
  /// The agent can take this many more request bytes on a stream.
  case credit(StreamID, byteCount: Int)
  /// The manifest of a model that the node has; its SHA-256 is the model's id.
  case manifest([UInt8])

  /// The message's number.
  package var type: UInt64 {
    switch self {
    case .hello: 1
    case .proof: 2
    case .record: 3
    case .capacity: 4
    case .pulse: 5
    case .accept: 6
    case .refuse: 7
    case .chunk: 8
    case .receipt: 9
    case .done: 10
    case .handback: 11
    case .draining: 12
    case .models: 13
    case .credit: 14
    case .manifest: 15
    }
  }

  /// The message's bytes.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: 128)
    encode(into: &encoder)
    return encoder.bytes
  }

  /// Appends the message's bytes.
  package func encode(into encoder: inout CBOREncoder) {
    switch self {
    case .hello(let versions, let release):
      encoder.message(type, fields: 3)
      encoder.unsigned(versions.lowerBound)
      encoder.unsigned(versions.upperBound)
      encoder.byteString(release.bytes)
    case .proof(let record, let binding, let signature):
      encoder.message(type, fields: 3)
      encoder.byteString(record)
      encoder.unsigned(UInt64(binding.rawValue))
      encoder.byteString(signature)
    case .record(let record):
      encoder.message(type, fields: 1)
      encoder.byteString(record)
    case .capacity(let capacity):
      encoder.message(type, fields: 3)
      encoder.array(capacity.models.count)
      for model in capacity.models { model.encode(into: &encoder) }
      encoder.unsigned(UInt64(capacity.freeMemoryMebibytes))
      encoder.reason(capacity.closed)
    case .pulse(let beats):
      encoder.message(type, fields: 1)
      encoder.array(beats.count)
      for beat in beats {
        encoder.array(2)
        encoder.byteString(beat.model.digest.bytes)
        encoder.unsigned(UInt64(beat.ageMilliseconds))
      }
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
    case .handback(let stream, let reason):
      encoder.message(type, fields: 2)
      encoder.unsigned(stream.rawValue)
      encoder.reason(reason)
    case .draining(let reason):
      encoder.message(type, fields: 1)
      encoder.reason(reason)
    case .models(let models):
      encoder.message(type, fields: 1)
      encoder.array(models.count)
      for model in models {
        encoder.array(3)
        encoder.byteString(model.model.digest.bytes)
        encoder.unsigned(UInt64(model.state.rawValue))
        encoder.unsigned(UInt64(model.permille))
      }
    case .credit(let stream, let byteCount):
      encoder.message(type, fields: 2)
      encoder.unsigned(stream.rawValue)
      encoder.unsigned(UInt64(byteCount))
    case .manifest(let manifest):
      encoder.message(type, fields: 1)
      encoder.byteString(manifest)
    }
  }

  /// Reads one message that fills all bytes; throws `unknownMessage` for a type to be ignored.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = try CBORReader(bytes, limits: .link)
    let (type, fields) = try reader.message()
    switch type {
    case 1:
      try reader.fields(fields, 3)
      let lowest = try reader.unsigned("lowest version", maximum: 255)
      let highest = try reader.unsigned("highest version", maximum: 255)
      guard lowest <= highest else { throw .outOfRange(field: "version range") }
      self = .hello(versions: lowest...highest, release: try reader.digest("release"))
    case 2:
      try reader.fields(fields, 3)
      self = .proof(
        record: try reader.byteString("record", 1...Limits.record),
        binding: try reader.choice("channel binding"),
        signature: try reader.byteString("signature", count: 64))
    case 3:
      try reader.fields(fields, 1)
      self = .record(try reader.byteString("record", 1...Limits.record))
    case 4:
      try reader.fields(fields, 3)
      self = .capacity(
        Capacity(
          models: try reader.list("models", maximum: Limits.models) { (reader) throws(WireError) in
            try ModelCapacity(from: &reader)
          },
          freeMemoryMebibytes: try reader.count("free memory", maximum: 1 << 30),
          closed: try reader.optionalReason("closed")))
    case 5:
      try reader.fields(fields, 1)
      self = .pulse(
        try reader.list("beats", maximum: Limits.models) { (reader) throws(WireError) in
          try reader.array("beat", count: 2)
          return Beat(
            model: try reader.modelID("model"),
            ageMilliseconds: try reader.count("age", maximum: Limits.milliseconds))
        })
    case 6:
      try reader.fields(fields, 1)
      self = .accept(try reader.stream())
    case 7:
      try reader.fields(fields, 3)
      self = .refuse(
        try reader.stream(), try reader.reason("reason"),
        retryAfterMilliseconds: try reader.count("retry after", maximum: Limits.milliseconds))
    case 8:
      try reader.fields(fields, 2)
      self = .chunk(try reader.stream(), try reader.byteString("chunk", 1...Limits.chunk))
    case 9:
      try reader.fields(fields, 2)
      self = .receipt(try reader.stream(), try reader.byteString("receipt", 1...Limits.receipt))
    case 10:
      try reader.fields(fields, 2)
      self = .done(
        try reader.stream(), receipt: try reader.byteString("receipt", 1...Limits.receipt))
    case 11:
      try reader.fields(fields, 2)
      self = .handback(try reader.stream(), try reader.reason("reason"))
    case 12:
      try reader.fields(fields, 1)
      self = .draining(try reader.reason("reason"))
    case 13:
      try reader.fields(fields, 1)
      self = .models(
        try reader.list("models", maximum: Limits.models) { (reader) throws(WireError) in
          try reader.array("model", count: 3)
          return ModelPresence(
            model: try reader.modelID("model"), state: try reader.choice("state"),
            permille: try reader.count("permille", maximum: 1_000))
        })
    case 14:
      try reader.fields(fields, 2)
      self = .credit(
        try reader.stream(), byteCount: try reader.count("credit", maximum: Limits.envelope))
    case 15:
      try reader.fields(fields, 1)
      self = .manifest(try reader.byteString("manifest", 1...Limits.manifest))
    default: throw .unknownMessage(type)
    }
    try reader.finish()
  }
}

extension ModelCapacity {
  fileprivate func encode(into encoder: inout CBOREncoder) {
    encoder.array(6)
    encoder.byteString(model.digest.bytes)
    encoder.unsigned(UInt64(slots))
    encoder.unsigned(UInt64(active))
    encoder.unsigned(UInt64(queued))
    encoder.unsigned(UInt64(prefillMilliTokensPerSecond))
    encoder.unsigned(UInt64(decodeMilliTokensPerSecond))
  }

  fileprivate init(from reader: inout CBORReader) throws(WireError) {
    try reader.array("model capacity", count: 6)
    self.init(
      model: try reader.modelID("model"),
      slots: try reader.count("slots", maximum: 1 << 16),
      active: try reader.count("active", maximum: 1 << 16),
      queued: try reader.count("queued", maximum: 1 << 16),
      prefillMilliTokensPerSecond: try reader.count("prefill rate", maximum: 1 << 40),
      decodeMilliTokensPerSecond: try reader.count("decode rate", maximum: 1 << 40))
  }
}
