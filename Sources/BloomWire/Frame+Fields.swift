extension TokenFrame {
  /// 1 choice, 2 tokens, 3 deltas, 4 logprobs, 5 finish, 6 stop; what is empty, a choice of 0 and
  /// what is absent are left out.
  func encode(into encoder: inout CBOREncoder) {
    let fields =
      (choice == 0 ? 0 : 1) + (tokens.isEmpty ? 0 : 1) + (deltas.isEmpty ? 0 : 1)
      + (logprobs.isEmpty ? 0 : 1) + (finish == nil ? 0 : 1) + (stop == nil ? 0 : 1)
    encoder.kind(0, fields: fields)
    if choice != 0 { encoder.field(1, choice) }
    if !tokens.isEmpty {
      encoder.unsigned(2)
      encoder.array(tokens.count)
      for token in tokens { encoder.unsigned(UInt64(token)) }
    }
    if !deltas.isEmpty {
      encoder.unsigned(3)
      encoder.array(deltas.count)
      for delta in deltas { delta.encode(into: &encoder) }
    }
    if !logprobs.isEmpty {
      encoder.unsigned(4)
      encoder.array(logprobs.count)
      for entry in logprobs {
        encoder.array(1 + entry.top.count)
        entry.sampled.encode(into: &encoder)
        for candidate in entry.top { candidate.encode(into: &encoder) }
      }
    }
    if let finish { encoder.field(5, Int(finish.rawValue)) }
    if let stop { encoder.field(6, stop) }
  }

  init(_ reader: inout CBORReader, _ fields: inout CBORFields) throws(WireError) {
    self.init(tokens: [])
    while let key = try fields.next(&reader) {
      switch key {
      case 1:
        choice = try reader.count("choice", maximum: Limits.choices - 1)
        guard choice > 0 else { throw .notCanonical }
      case 2:
        tokens = try reader.list("tokens", maximum: Limits.frameTokens) {
          (reader) throws(WireError) in
          UInt32(try reader.unsigned("token", maximum: UInt64(UInt32.max)))
        }
      case 3:
        deltas = try reader.list("deltas", maximum: Limits.frameTokens) {
          (reader) throws(WireError) in try Delta(from: &reader)
        }
      case 4:
        logprobs = try reader.list("logprobs", maximum: Limits.frameTokens) {
          (reader) throws(WireError) in
          let candidates = try reader.list("candidates", maximum: 21) {
            (reader) throws(WireError) in try TokenLogprob.Candidate(from: &reader)
          }
          guard let sampled = candidates.first else { throw .missingField("sampled token") }
          return TokenLogprob(sampled: sampled, top: Array(candidates.dropFirst()))
        }
      case 5: finish = try reader.choice("finish") as FinishReason
      case 6:
        stop = try reader.count("stop", maximum: Limits.stops - 1)
        guard finish == .stop else { throw .notCanonical }
      default: throw .unknownField(key)
      }
      // What is empty is left out, so that a frame has one encoding.
      let isEmpty =
        key == 2 && tokens.isEmpty || key == 3 && deltas.isEmpty || key == 4 && logprobs.isEmpty
      guard !isEmpty else { throw .notCanonical }
    }
  }
}

extension Delta {
  /// `[0, text]`, `[1, text]` or `[2, index, id or null, name or null, arguments]`.
  func encode(into encoder: inout CBOREncoder) {
    switch self {
    case .content(let text), .reasoning(let text):
      encoder.array(2)
      if case .content = self { encoder.unsigned(0) } else { encoder.unsigned(1) }
      encoder.text(text)
    case .toolCall(let index, let id, let name, let arguments):
      encoder.array(5)
      encoder.unsigned(2)
      encoder.unsigned(UInt64(index))
      encoder.text(orNull: id)
      encoder.text(orNull: name)
      encoder.text(arguments)
    }
  }

  init(from reader: inout CBORReader) throws(WireError) {
    let count = try reader.array("delta", maximum: 5)
    switch (try reader.unsigned("delta kind"), count) {
    case (0, 2): self = .content(try reader.text("content", maximum: Limits.frame))
    case (1, 2): self = .reasoning(try reader.text("reasoning", maximum: Limits.frame))
    case (2, 5):
      self = .toolCall(
        index: try reader.count("tool index", maximum: 1_023),
        id: try reader.optionalText("tool id", maximum: 256),
        name: try reader.optionalText("tool name", maximum: 256),
        arguments: try reader.text("arguments", maximum: Limits.frame))
    default: throw .outOfRange(field: "delta kind")
    }
  }
}

extension TokenLogprob.Candidate {
  func encode(into encoder: inout CBOREncoder) {
    encoder.array(3)
    encoder.unsigned(UInt64(token))
    encoder.byteString(bytes)
    encoder.float(Double(logprob))
  }

  init(from reader: inout CBORReader) throws(WireError) {
    try reader.array("candidate", count: 3)
    self.init(
      token: UInt32(try reader.unsigned("token", maximum: UInt64(UInt32.max))),
      bytes: try reader.byteString("token bytes", 0...1_024),
      logprob: Float(try reader.float("logprob")))
  }
}

extension Usage {
  init(_ reader: inout CBORReader, _ fields: inout CBORFields) throws(WireError) {
    self.init(promptTokens: 0, completionTokens: 0)
    var found = 0
    while let key = try fields.next(&reader) {
      found += 1
      let count = try reader.count("usage", maximum: 1 << 40)
      switch key {
      case 1: promptTokens = count
      case 2: cachedTokens = count
      case 3: completionTokens = count
      case 4: reasoningTokens = count
      default: throw .unknownField(key)
      }
    }
    guard found == 4 else { throw .missingField("usage") }
  }
}

extension SealedError {
  init(_ reader: inout CBORReader, _ fields: inout CBORFields) throws(WireError) {
    var code: Code?
    var message: String?
    while let key = try fields.next(&reader) {
      switch key {
      case 1: code = try reader.choice("error code") as Code
      case 2: message = try reader.text("error message", maximum: 4_096)
      default: throw .unknownField(key)
      }
    }
    self.init(
      code: try code.required("error code"), message: try message.required("error message"))
  }
}

extension CBOREncoder {
  fileprivate mutating func text(orNull text: String?) {
    if let text { self.text(text) } else { null() }
  }

  /// Starts a frame's map: kind at key 0, then `fields` more.
  mutating func kind(_ kind: Int, fields: Int) {
    map(fields + 1)
    field(0, kind)
  }

  /// Writes a key and a count.
  mutating func field(_ key: UInt64, _ value: Int) {
    unsigned(key)
    unsigned(UInt64(value))
  }
}

extension CBORReader {
  fileprivate mutating func optionalText(
    _ field: String, maximum: Int
  ) throws(WireError) -> String? {
    if try null() { return nil }
    return try text(field, maximum: maximum)
  }

  /// Reads key 1 and nothing else.
  mutating func onlyField<Value: Sendable>(
    _ fields: inout CBORFields, _ body: (inout CBORReader) throws(WireError) -> Value
  ) throws(WireError) -> Value {
    var value: Value?
    while let key = try fields.next(&self) {
      guard key == 1 else { throw .unknownField(key) }
      value = try body(&self)
    }
    return try value.required("content")
  }

  /// Reads a byte string of big-endian Float32, all finite.
  mutating func floats(_ field: String) throws(WireError) -> [Float] {
    let bytes = try byteString(field, 0...65_536)
    guard bytes.count.isMultiple(of: 4) else { throw .outOfRange(field: field) }
    var numbers: [Float] = []
    numbers.reserveCapacity(bytes.count / 4)
    for index in stride(from: 0, to: bytes.count, by: 4) {
      let bits = bytes[index..<index + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      let number = Float(bitPattern: bits)
      guard number.isFinite else { throw .outOfRange(field: field) }
      numbers.append(number)
    }
    return numbers
  }
}
