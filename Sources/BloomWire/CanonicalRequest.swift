package import BloomBase

/// What the gateway seals: one neutral request, whatever API the user's program speaks.
///
/// UTF-8 JSON with the members in the order `v, kind, body, answer, resume, salt`.
package struct CanonicalRequest: Sendable, Equatable {
  /// What is the same in every part of an answer.
  package struct Answer: Sendable, Equatable {
    /// The answer's identity; ids of tool calls derive from it.
    package var id: AnswerID
    /// When the answer was begun; what the API reports as `created`.
    package var created: UnixTime
    /// The time that chat templates print.
    package var now: UnixTime
    /// Randomness is a function of (seed, choice, position); 0…2^53−1.
    package var seed: UInt64

    /// Sets every field.
    package init(id: AnswerID, created: UnixTime, now: UnixTime, seed: UInt64) {
      self.id = id
      self.created = created
      self.now = now
      self.seed = seed
    }
  }

  /// What was delivered before, when another part goes on.
  package struct Resume: Sendable, Equatable {
    /// One choice's delivered tokens.
    package struct Choice: Sendable, Equatable {
      /// Delivered token ids, in order.
      package var tokens: [UInt32]
      /// Whether the choice has ended.
      package var isDone: Bool

      /// Sets both.
      package init(tokens: [UInt32], isDone: Bool) {
        self.tokens = tokens
        self.isDone = isDone
      }
    }

    /// The part's number, 1…15; the first part is 0 and has no `resume`.
    package var part: Int
    /// One entry a choice.
    package var choices: [Choice]

    /// Sets both.
    package init(part: Int, choices: [Choice]) {
      self.part = part
      self.choices = choices
    }
  }

  /// What is asked for.
  package var kind: JobKind
  /// The OpenAI-shaped body of that kind: a JSON object.
  package var body: JSONValue
  /// What is the same in every part.
  package var answer: Answer
  /// `nil` in the first part.
  package var resume: Resume?
  /// Prefix caches are shared only within one salt; at most 256 bytes.
  package var salt: String

  /// Sets every field.
  package init(
    kind: JobKind, body: JSONValue, answer: Answer, resume: Resume? = nil, salt: String
  ) {
    self.kind = kind
    self.body = body
    self.answer = answer
    self.resume = resume
    self.salt = salt
  }

  /// The part's number, 0 for the first.
  package var part: Int { resume?.part ?? 0 }

  /// The bytes that are sealed, before padding.
  package var encoded: [UInt8] {
    var writer = JSONWriter(capacity: 1_024)
    writer.object { writer in
      writer.key("v")
      writer.integer(1)
      writer.key("kind")
      writer.string(kind.name)
      writer.key("body")
      writer.value(body)
      writer.key("answer")
      writer.object { writer in
        writer.key("id")
        writer.string(answer.id.description)
        writer.key("created")
        writer.integer(answer.created.seconds)
        writer.key("now")
        writer.integer(answer.now.seconds)
        writer.key("seed")
        writer.integer(answer.seed)
      }
      if let resume { resume.write(to: &writer) }
      writer.key("salt")
      writer.string(salt)
    }
    return writer.bytes
  }

  /// Reads an opened plaintext; padding must have been removed.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    var scanner = try JSONScanner(bytes, limits: .request)
    var kind: JobKind?
    var body: JSONValue?
    var answer: Answer?
    var resume: Resume?
    var salt: String?
    var version: Int64?
    try scanner.beginObject("request")
    while let key = try scanner.nextKey() {
      switch key {
      case "v": version = try scanner.integer("v")
      case "kind": kind = JobKind(name: try scanner.string("kind"))
      case "body":
        guard try scanner.peek() == .object else { throw .wrongType(field: "body") }
        body = try scanner.value()
      case "answer": answer = try Answer(&scanner)
      case "resume": resume = try Resume(&scanner)
      case "salt":
        let text = try scanner.string("salt")
        guard text.utf8.count <= 256 else { throw .outOfRange(field: "salt") }
        salt = text
      default: throw .unsupported
      }
    }
    try scanner.finish()
    guard let version else { throw .missingField("v") }
    guard version == 1 else { throw .unknownVersion(UInt64(clamping: version)) }
    self.init(
      kind: try kind.required("kind"), body: try body.required("body"),
      answer: try answer.required("answer"), resume: resume, salt: try salt.required("salt"))
  }
}

extension CanonicalRequest.Answer {
  fileprivate init(_ scanner: inout JSONScanner) throws(WireError) {
    var id: AnswerID?
    var created: Int64?
    var now: Int64?
    var seed: Int64?
    let times = 0...Int64(Limits.unixSeconds)
    try scanner.beginObject("answer")
    while let key = try scanner.nextKey() {
      switch key {
      case "id": id = Hex.decode(try scanner.string("id")).flatMap { AnswerID($0) }
      case "created": created = try scanner.integer("created", times)
      case "now": now = try scanner.integer("now", times)
      case "seed": seed = try scanner.integer("seed", 0...(1 << 53 - 1))
      default: throw .unsupported
      }
    }
    self.init(
      id: try id.required("answer.id"),
      created: UnixTime(try created.required("answer.created")),
      now: UnixTime(try now.required("answer.now")),
      seed: UInt64(try seed.required("answer.seed")))
  }
}

extension CanonicalRequest.Resume {
  fileprivate func write(to writer: inout JSONWriter) {
    writer.key("resume")
    writer.object { writer in
      writer.key("part")
      writer.integer(part)
      writer.key("choices")
      writer.array { writer in
        for choice in choices {
          writer.object { writer in
            writer.key("tokens")
            writer.array { writer in
              for token in choice.tokens { writer.integer(token) }
            }
            writer.key("done")
            writer.bool(choice.isDone)
          }
        }
      }
    }
  }

  fileprivate init(_ scanner: inout JSONScanner) throws(WireError) {
    var part: Int64?
    var choices: [Choice] = []
    var tokensLeft = Limits.resumeTokens
    try scanner.beginObject("resume")
    while let key = try scanner.nextKey() {
      switch key {
      case "part": part = try scanner.integer("part", 0...15)
      case "choices":
        try scanner.beginArray("choices")
        while try scanner.nextItem() {
          guard choices.count < Limits.choices else { throw .tooManyItems }
          choices.append(try Choice(&scanner, &tokensLeft))
        }
      default: throw .unsupported
      }
    }
    self.init(part: Int(try part.required("resume.part")), choices: choices)
  }
}

extension CanonicalRequest.Resume.Choice {
  fileprivate init(_ scanner: inout JSONScanner, _ tokensLeft: inout Int) throws(WireError) {
    self.init(tokens: [], isDone: false)
    try scanner.beginObject("choice")
    while let key = try scanner.nextKey() {
      switch key {
      case "tokens":
        try scanner.beginArray("tokens")
        while try scanner.nextItem() {
          guard tokensLeft > 0 else { throw .tooManyItems }
          tokensLeft -= 1
          tokens.append(UInt32(try scanner.integer("token", 0...Int64(UInt32.max))))
        }
      case "done": isDone = try scanner.bool("done")
      default: throw .unsupported
      }
    }
  }
}
