package import BloomBase
package import BloomWire

/// What a coordinator may know of a request, in clear: nothing else is.
///
/// Bound into every wrap, and compared with the content by the worker after opening.
package struct Routing: Sendable, Hashable {
  /// Conditions that the coordinator must meet or refuse.
  package struct Constraints: Sendable, Hashable {
    /// Only nodes of this pool.
    package var pool: String?
    /// Only nodes of this region.
    package var region: String?
    /// The weakest tier taken.
    package var minimumTier: Tier
    /// The most that the answer may cost.
    package var priceCap: Micros?

    /// Sets every field.
    package init(
      pool: String? = nil, region: String? = nil, minimumTier: Tier = .software,
      priceCap: Micros? = nil
    ) {
      self.pool = pool
      self.region = region
      self.minimumTier = minimumTier
      self.priceCap = priceCap
    }
  }

  /// The model.
  package var model: ModelID
  /// What is asked for.
  package var kind: JobKind
  /// Bytes of the padded plaintext, one of ``PaddedSize``.
  package var paddedByteCount: Int
  /// The most tokens of all choices together.
  package var tokenClass: TokenClass
  /// Milliseconds that the client waits for the first token.
  package var deadlineMilliseconds: Int
  /// How the answer is padded.
  package var padding: PaddingProfile
  /// The answer that this is a part of.
  package var answer: AnswerID
  /// Which part, 0…15.
  package var part: Int
  /// Conditions.
  package var constraints: Constraints

  /// Sets every field.
  package init(
    model: ModelID, kind: JobKind, paddedByteCount: Int, tokenClass: TokenClass,
    deadlineMilliseconds: Int, padding: PaddingProfile, answer: AnswerID, part: Int,
    constraints: Constraints = Constraints()
  ) {
    self.model = model
    self.kind = kind
    self.paddedByteCount = paddedByteCount
    self.tokenClass = tokenClass
    self.deadlineMilliseconds = deadlineMilliseconds
    self.padding = padding
    self.answer = answer
    self.part = part
    self.constraints = constraints
  }

  /// The deterministic map.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: 128)
    encoder.map(9)
    encoder.unsigned(1)
    encoder.byteString(model.digest.bytes)
    encoder.unsigned(2)
    encoder.unsigned(UInt64(kind.rawValue))
    encoder.unsigned(3)
    encoder.unsigned(UInt64(paddedByteCount))
    encoder.unsigned(4)
    encoder.unsigned(UInt64(tokenClass.rawValue))
    encoder.unsigned(5)
    encoder.unsigned(UInt64(deadlineMilliseconds))
    encoder.unsigned(6)
    encoder.unsigned(UInt64(padding.rawValue))
    encoder.unsigned(7)
    encoder.byteString(answer.bytes)
    encoder.unsigned(8)
    encoder.unsigned(UInt64(part))
    encoder.unsigned(9)
    constraints.encode(into: &encoder)
    return encoder.bytes
  }

  /// Reads a map that fills all bytes.
  package init(decoding bytes: [UInt8]) throws(RecordError) {
    self = try reading { () throws(WireError) in
      var reader = try CBORReader(bytes)
      let routing = try Routing(from: &reader)
      try reader.finish()
      return routing
    }
  }

  private init(from reader: inout CBORReader) throws(WireError) {
    var model: ModelID?
    var kind: JobKind?
    var paddedByteCount: Int?
    var tokenClass: TokenClass?
    var deadline: Int?
    var padding: PaddingProfile?
    var answer: AnswerID?
    var part: Int?
    var constraints: Constraints?
    var fields = try CBORFields(&reader, "routing")
    while let key = try fields.next(&reader) {
      switch key {
      case 1: model = try reader.modelID("model")
      case 2: kind = try reader.choice("kind") as JobKind
      case 3: paddedByteCount = try reader.count("padded size", maximum: PaddedSize.maximum)
      case 4: tokenClass = try reader.choice("token class") as TokenClass
      case 5: deadline = try reader.count("deadline", maximum: Limits.milliseconds)
      case 6: padding = try reader.choice("padding") as PaddingProfile
      case 7: answer = try reader.answerID("answer")
      case 8: part = try reader.count("part", maximum: 15)
      case 9: constraints = try Constraints(from: &reader)
      default: throw .unknownField(key)
      }
    }
    self.init(
      model: try model.required("model"), kind: try kind.required("kind"),
      paddedByteCount: try paddedByteCount.required("padded size"),
      tokenClass: try tokenClass.required("token class"),
      deadlineMilliseconds: try deadline.required("deadline"),
      padding: try padding.required("padding"), answer: try answer.required("answer"),
      part: try part.required("part"), constraints: try constraints.required("constraints"))
    guard PaddedSize.isValid(self.paddedByteCount) else { throw .outOfRange(field: "padded size") }
  }
}

extension Routing.Constraints {
  /// 1 pool, 2 region, 3 tier, 4 price cap; those that are absent or `software` are left out.
  fileprivate func encode(into encoder: inout CBOREncoder) {
    let present = [pool != nil, region != nil, minimumTier != .software, priceCap != nil]
    encoder.map(present.count { $0 })
    if let pool {
      encoder.unsigned(1)
      encoder.text(pool)
    }
    if let region {
      encoder.unsigned(2)
      encoder.text(region)
    }
    if minimumTier != .software {
      encoder.unsigned(3)
      encoder.unsigned(UInt64(minimumTier.rawValue))
    }
    if let priceCap {
      encoder.unsigned(4)
      encoder.integer(priceCap.rawValue)
    }
  }

  fileprivate init(from reader: inout CBORReader) throws(WireError) {
    self.init()
    var fields = try CBORFields(&reader, "constraints")
    while let key = try fields.next(&reader) {
      switch key {
      case 1: pool = try reader.text("pool", maximum: 64)
      case 2: region = try reader.text("region", maximum: 64)
      case 3: minimumTier = try reader.choice("tier") as Tier
      case 4: priceCap = Micros(try reader.integer("price cap"))
      default: throw .unknownField(key)
      }
    }
  }
}
