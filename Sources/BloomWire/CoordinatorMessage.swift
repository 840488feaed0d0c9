package import BloomBase

/// What the coordinator says to a node's agent on the node link.
///
/// On the wire a deterministic CBOR array `[type, …]`, one a WebSocket binary message.
package enum CoordinatorMessage: Sendable, Equatable {
  /// Asks for a proof over 32 fresh bytes; at the start, and again at any time.
  case challenge(nonce: Digest)
  /// The link is open with this version; the coordinator's clock is for the owner's display.
  case welcome(version: UInt64, time: UnixTime)
  /// A request follows: its head with this node as the only candidate, and the body's size.
  case requestBegin(StreamID, head: [UInt8], bodyByteCount: Int)
  /// The next bytes of the body, at most 64 KiB, within the credit.
  case requestChunk(StreamID, [UInt8])
  /// The request is not wanted any more; the node sends its last receipt.
  case cancel(StreamID, Reason)
  /// The coordinator can take this many more answer bytes on a stream.
  case credit(StreamID, byteCount: Int)
  /// Models that the network would like here, most wanted first.
  case desiredModels([ModelID])
  /// How the network sees the node.
  case standing(Standing)
  /// What was booked for a receipt.
  case settlement(receipt: Digest, earned: Micros)
  /// The receipt is stored; the agent may forget it.
  case receiptAck(receipt: Digest)
  /// The coordinator closes the link; connect again after this many milliseconds.
  case goodbye(Reason, retryAfterMilliseconds: Int)

  /// The message's number.
  package var type: UInt64 {
    switch self {
    case .challenge: 32
    case .welcome: 33
    case .requestBegin: 34
    case .requestChunk: 35
    case .cancel: 36
    case .credit: 37
    case .desiredModels: 38
    case .standing: 39
    case .settlement: 40
    case .receiptAck: 41
    case .goodbye: 42
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
    case .challenge(let nonce):
      encoder.message(type, fields: 1)
      encoder.byteString(nonce.bytes)
    case .welcome(let version, let time):
      encoder.message(type, fields: 2)
      encoder.unsigned(version)
      encoder.integer(time.seconds)
    case .requestBegin(let stream, let head, let bodyByteCount):
      encoder.message(type, fields: 3)
      encoder.unsigned(stream.rawValue)
      encoder.byteString(head)
      encoder.unsigned(UInt64(bodyByteCount))
    case .requestChunk(let stream, let bytes):
      encoder.message(type, fields: 2)
      encoder.unsigned(stream.rawValue)
      encoder.byteString(bytes)
    case .cancel(let stream, let reason):
      encoder.message(type, fields: 2)
      encoder.unsigned(stream.rawValue)
      encoder.reason(reason)
    case .credit(let stream, let byteCount):
      encoder.message(type, fields: 2)
      encoder.unsigned(stream.rawValue)
      encoder.unsigned(UInt64(byteCount))
    case .desiredModels(let models):
      encoder.message(type, fields: 1)
      encoder.array(models.count)
      for model in models { encoder.byteString(model.digest.bytes) }
    case .standing(let standing):
      encoder.message(type, fields: 3)
      encoder.unsigned(UInt64(standing.permille))
      encoder.array(standing.parts.count)
      for part in standing.parts {
        encoder.array(2)
        encoder.text(part.name)
        encoder.unsigned(UInt64(part.permille))
      }
      encoder.array(standing.reasons.count)
      for entry in standing.reasons {
        encoder.array(2)
        encoder.reason(entry.reason)
        encoder.unsigned(UInt64(entry.count))
      }
    case .settlement(let receipt, let earned):
      encoder.message(type, fields: 2)
      encoder.byteString(receipt.bytes)
      encoder.integer(earned.rawValue)
    case .receiptAck(let receipt):
      encoder.message(type, fields: 1)
      encoder.byteString(receipt.bytes)
    case .goodbye(let reason, let retryAfter):
      encoder.message(type, fields: 2)
      encoder.reason(reason)
      encoder.unsigned(UInt64(retryAfter))
    }
  }

  /// Reads one message that fills all bytes; throws `unknownMessage` for a type to be ignored.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = try CBORReader(bytes, limits: .link)
    let (type, fields) = try reader.message()
    switch type {
    case 32:
      try reader.fields(fields, 1)
      self = .challenge(nonce: try reader.digest("nonce"))
    case 33:
      try reader.fields(fields, 2)
      self = .welcome(
        version: try reader.unsigned("version", maximum: 255), time: try reader.time("time"))
    case 34:
      try reader.fields(fields, 3)
      self = .requestBegin(
        try reader.stream(), head: try reader.byteString("head", 1...Limits.head),
        bodyByteCount: try reader.count("body size", maximum: Limits.envelope))
    case 35:
      try reader.fields(fields, 2)
      self = .requestChunk(try reader.stream(), try reader.byteString("chunk", 1...Limits.chunk))
    case 36:
      try reader.fields(fields, 2)
      self = .cancel(try reader.stream(), try reader.reason("reason"))
    case 37:
      try reader.fields(fields, 2)
      self = .credit(
        try reader.stream(), byteCount: try reader.count("credit", maximum: Limits.envelope))
    case 38:
      try reader.fields(fields, 1)
      self = .desiredModels(
        try reader.list("models", maximum: Limits.models) { (reader) throws(WireError) in
          try reader.modelID("model")
        })
    case 39:
      try reader.fields(fields, 3)
      self = .standing(try Standing(from: &reader))
    case 40:
      try reader.fields(fields, 2)
      self = .settlement(
        receipt: try reader.digest("receipt"), earned: Micros(try reader.integer("earned")))
    case 41:
      try reader.fields(fields, 1)
      self = .receiptAck(receipt: try reader.digest("receipt"))
    case 42:
      try reader.fields(fields, 2)
      self = .goodbye(
        try reader.reason("reason"),
        retryAfterMilliseconds: try reader.count("retry after", maximum: Limits.milliseconds))
    default: throw .unknownMessage(type)
    }
    try reader.finish()
  }
}

extension Standing {
  fileprivate init(from reader: inout CBORReader) throws(WireError) {
    self.init(
      permille: try reader.count("score", maximum: 1_000),
      parts: try reader.list("parts", maximum: 32) { (reader) throws(WireError) in
        try reader.array("part", count: 2)
        return Part(
          name: try reader.text("name", maximum: 32),
          permille: try reader.count("permille", maximum: 1_000))
      },
      reasons: try reader.list("reasons", maximum: 64) { (reader) throws(WireError) in
        try reader.array("count", count: 2)
        return Count(
          reason: try reader.reason("reason"), count: try reader.count("count", maximum: 1 << 30))
      })
  }
}
