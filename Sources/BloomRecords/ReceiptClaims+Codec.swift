internal import BloomBase
internal import BloomWire

extension ReceiptClaims {
  /// The deterministic map, all 23 fields in order.
  var payload: [UInt8] {
    var encoder = CBOREncoder(capacity: 512)
    encoder.map(23)
    encoder.field(1, 1)
    encoder.field(2, node.digest)
    encoder.unsigned(3)
    encoder.byteString(key.bytes)
    encoder.field(4, requestNonce)
    encoder.field(5, requestCommitment)
    encoder.field(6, transcript)
    encoder.field(7, framesCommitment)
    encoder.field(8, model.digest)
    encoder.field(9, release)
    encoder.field(10, engine)
    encoder.field(11, promptTokens)
    encoder.field(12, replayedTokens)
    encoder.field(13, completionTokens)
    encoder.unsigned(14)
    if let finish { encoder.unsigned(UInt64(finish.rawValue)) } else { encoder.null() }
    encoder.field(15, Int(start.seconds))
    encoder.field(16, Int(end.seconds))
    encoder.field(17, sampling)
    encoder.unsigned(18)
    encoder.digest(fingerprint)
    encoder.field(19, evidence)
    encoder.unsigned(20)
    encoder.byteString(answer.bytes)
    encoder.field(21, part)
    encoder.field(22, Int(mode.rawValue))
    encoder.field(23, chunks)
    return encoder.bytes
  }

  /// Reads a payload; every field must be there and no other.
  init(payload: [UInt8]) throws(RecordError) {
    self = try reading { () throws(WireError) in
      var reader = try CBORReader(payload)
      let claims = try ReceiptClaims(from: &reader)
      try reader.finish()
      return claims
    }
  }

  private init(from reader: inout CBORReader) throws(WireError) {
    var fields = try CBORFields(&reader, "receipt")
    var expected: UInt64 = 1
    func step(_ reader: inout CBORReader) throws(WireError) {
      guard let key = try fields.next(&reader) else { throw .missingField("receipt field") }
      guard key == expected else { throw .unknownField(key) }
      expected += 1
    }
    func digest(_ name: String, _ reader: inout CBORReader) throws(WireError) -> Digest {
      try step(&reader)
      return try reader.digest(name)
    }
    func count(_ name: String, _ reader: inout CBORReader) throws(WireError) -> Int {
      try step(&reader)
      return try reader.count(name, maximum: 1 << 40)
    }
    try step(&reader)
    let version = try reader.unsigned("version")
    guard version == 1 else { throw .unknownVersion(version) }
    node = NodeID(try digest("node", &reader))
    try step(&reader)
    key = try reader.keyID("key")
    requestNonce = try digest("request nonce", &reader)
    requestCommitment = try digest("request commitment", &reader)
    transcript = try digest("transcript", &reader)
    framesCommitment = try digest("frames commitment", &reader)
    model = ModelID(try digest("model", &reader))
    release = try digest("release", &reader)
    engine = try digest("engine", &reader)
    promptTokens = try count("prompt tokens", &reader)
    replayedTokens = try count("replayed tokens", &reader)
    completionTokens = try count("completion tokens", &reader)
    try step(&reader)
    finish = try reader.null() ? nil : try reader.choice("finish") as FinishReason
    try step(&reader)
    start = try reader.time("start")
    try step(&reader)
    end = try reader.time("end")
    sampling = try digest("sampling", &reader)
    try step(&reader)
    fingerprint = try reader.optionalDigest("fingerprint")
    evidence = try digest("evidence", &reader)
    try step(&reader)
    answer = try reader.answerID("answer")
    try step(&reader)
    part = try reader.count("part", maximum: 15)
    try step(&reader)
    mode = try reader.choice("mode")
    chunks = try count("chunks", &reader)
    guard try fields.next(&reader) == nil else { throw .unknownField(expected) }
  }
}

extension CBOREncoder {
  fileprivate mutating func field(_ key: UInt64, _ value: Int) {
    unsigned(key)
    unsigned(UInt64(value))
  }

  fileprivate mutating func field(_ key: UInt64, _ value: Digest) {
    unsigned(key)
    byteString(value.bytes)
  }
}
