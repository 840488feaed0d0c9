/// What the worker says inside the seal: one CBOR map a frame.
///
/// Key 0 names the kind. Numbers of fields are written at each case.
package enum Frame: Sendable, Equatable {
  /// Tokens of one choice and the text that they made visible (kind 0).
  case tokens(TokenFrame)
  /// Counts, cumulative within the part (kind 1).
  case usage(Usage)
  /// The answer failed after opening (kind 2).
  case error(SealedError)
  /// A running or final receipt, COSE_Sign1 (kind 3).
  case receipt([UInt8])
  /// One embedding, in the order of the inputs (kind 4).
  case embedding(index: Int, vector: [Float])
  /// A result that is JSON as a whole, for kinds without tokens (kind 5).
  case json([UInt8])

  /// The frame's bytes.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: 128)
    encode(into: &encoder)
    return encoder.bytes
  }

  /// Appends the frame's bytes.
  package func encode(into encoder: inout CBOREncoder) {
    switch self {
    case .tokens(let frame): frame.encode(into: &encoder)
    case .usage(let usage):
      encoder.kind(1, fields: 4)
      encoder.field(1, usage.promptTokens)
      encoder.field(2, usage.cachedTokens)
      encoder.field(3, usage.completionTokens)
      encoder.field(4, usage.reasoningTokens)
    case .error(let error):
      encoder.kind(2, fields: 2)
      encoder.field(1, Int(error.code.rawValue))
      encoder.unsigned(2)
      encoder.text(error.message)
    case .receipt(let receipt):
      encoder.kind(3, fields: 1)
      encoder.unsigned(1)
      encoder.byteString(receipt)
    case .embedding(let index, let vector):
      encoder.kind(4, fields: 2)
      encoder.field(1, index)
      encoder.unsigned(2)
      encoder.byteString(
        vector.flatMap { number in
          (0..<4).map { UInt8(truncatingIfNeeded: number.bitPattern >> UInt32(24 - 8 * $0)) }
        })
    case .json(let json):
      encoder.kind(5, fields: 1)
      encoder.unsigned(1)
      encoder.byteString(json)
    }
  }

  /// Reads one frame that fills all bytes.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    try self.init(decoding: bytes, range: 0..<bytes.count)
  }

  /// Reads one frame that fills a part of an array, without copying it.
  package init(decoding bytes: [UInt8], range: Range<Int>) throws(WireError) {
    var reader = try CBORReader(bytes, range: range, limits: .frame)
    var fields = try CBORFields(&reader, "frame")
    guard try fields.next(&reader) == 0 else { throw .missingField("frame kind") }
    switch try reader.unsigned("frame kind") {
    case 0: self = .tokens(try TokenFrame(&reader, &fields))
    case 1: self = .usage(try Usage(&reader, &fields))
    case 2: self = .error(try SealedError(&reader, &fields))
    case 3:
      self = .receipt(
        try reader.onlyField(&fields) { (reader) throws(WireError) in
          try reader.byteString("receipt", 1...Limits.receipt)
        })
    case 4:
      var index: Int?
      var vector: [Float]?
      while let key = try fields.next(&reader) {
        switch key {
        case 1: index = try reader.count("index", maximum: 1 << 20)
        case 2: vector = try reader.floats("vector")
        default: throw .unknownField(key)
        }
      }
      self = .embedding(index: try index.required("index"), vector: try vector.required("vector"))
    case 5:
      self = .json(
        try reader.onlyField(&fields) { (reader) throws(WireError) in
          try reader.byteString("json", 1...Limits.frame)
        })
    case let kind: throw .unknownMessage(kind)
    }
    try reader.finish()
  }
}

/// Tokens of one choice and the text that they made visible.
package struct TokenFrame: Sendable, Equatable {
  /// Which choice, from 0.
  package var choice: Int
  /// Sampled token ids, in order; the receipt counts exactly these.
  package var tokens: [UInt32]
  /// What became visible: nothing while a character or a tool call is incomplete.
  package var deltas: [Delta]
  /// One entry a token, when asked for.
  package var logprobs: [TokenLogprob]
  /// Set in the choice's last frame.
  package var finish: FinishReason?
  /// The place in the request's list of the stop text that ended the choice; only with `finish`
  /// `stop`, and `nil` when the model ended by itself.
  package var stop: Int?

  /// Sets every field.
  package init(
    choice: Int = 0, tokens: [UInt32], deltas: [Delta] = [], logprobs: [TokenLogprob] = [],
    finish: FinishReason? = nil, stop: Int? = nil
  ) {
    self.choice = choice
    self.tokens = tokens
    self.deltas = deltas
    self.logprobs = logprobs
    self.finish = finish
    self.stop = stop
  }
}

/// A piece of what the user sees.
package enum Delta: Sendable, Equatable {
  /// Text of the answer.
  case content(String)
  /// Text of the model's reasoning.
  case reasoning(String)
  /// A piece of a tool call; id and name come with the call's first piece.
  case toolCall(index: Int, id: String?, name: String?, arguments: String)
}

/// The log-probability of one sampled token, with its alternatives.
package struct TokenLogprob: Sendable, Equatable {
  /// One candidate.
  package struct Candidate: Sendable, Equatable {
    /// The token's id.
    package var token: UInt32
    /// The token's bytes, which may be part of a character.
    package var bytes: [UInt8]
    /// Natural logarithm, at most 0.
    package var logprob: Float

    /// Sets every field.
    package init(token: UInt32, bytes: [UInt8], logprob: Float) {
      self.token = token
      self.bytes = bytes
      self.logprob = logprob
    }
  }

  /// The token that was sampled.
  package var sampled: Candidate
  /// The likeliest tokens, at most 20, likeliest first.
  package var top: [Candidate]

  /// Sets both.
  package init(sampled: Candidate, top: [Candidate]) {
    self.sampled = sampled
    self.top = top
  }
}

/// Counts of one part, cumulative.
package struct Usage: Sendable, Equatable {
  /// Tokens of the prompt, without replayed ones.
  package var promptTokens: Int
  /// Prompt tokens that were in a cache.
  package var cachedTokens: Int
  /// Sampled and delivered tokens.
  package var completionTokens: Int
  /// Those of them that were reasoning.
  package var reasoningTokens: Int

  /// Sets every field.
  package init(
    promptTokens: Int, cachedTokens: Int = 0, completionTokens: Int, reasoningTokens: Int = 0
  ) {
    self.promptTokens = promptTokens
    self.cachedTokens = cachedTokens
    self.completionTokens = completionTokens
    self.reasoningTokens = reasoningTokens
  }
}

/// An error that only the user's own gateway may see.
package struct SealedError: Error, Equatable {
  /// What kind of error.
  package enum Code: UInt8, Sendable, CaseIterable {
    /// The request contradicts its routing, or is not valid.
    case invalidRequest = 0
    /// The prompt and the tokens asked for do not fit the model's context.
    case contextTooLong = 1
    /// The chat template refused the messages.
    case template = 2
    /// The schema or grammar cannot be used.
    case grammar = 3
    /// The model does not do this kind of work.
    case unsupported = 4
    /// The engine failed.
    case engine = 5
  }

  /// What kind of error.
  package var code: Code
  /// One sentence for the user; may name parameters, never goes to a log.
  package var message: String

  /// Sets both.
  package init(code: Code, message: String) {
    self.code = code
    self.message = message
  }
}

extension CBORLimits {
  /// One frame inside the seal.
  static let frame = CBORLimits(byteCount: Limits.frame, depth: 8, itemCount: 1 << 18)
}
