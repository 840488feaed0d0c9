internal import BloomAPI
internal import BloomBase
internal import BloomClient
internal import BloomHTTP
internal import BloomNet

/// Makes the HTTP response of an answer in any dialect.
enum AnswerResponse {
  /// How a dialect cuts its stream into events.
  enum Framing: Sendable {
    /// Server-sent events.
    case events
    /// One JSON object a line.
    case lines
  }

  /// Starts an answer and waits for its first step: one that cannot be given is an HTTP error.
  ///
  /// - Throws: ``APIError`` when nothing left this device, or the first step is a failure.
  static func make(
    _ service: any InferenceService, _ request: InferenceRequest, framing: Framing = .events,
    stream: (AnswerHeader) -> some StreamRenderer,
    whole: (AnswerHeader, [AnswerCollector.Choice], AnswerUsage) -> [UInt8]
  ) async throws -> Response {
    let answer = try await service.begin(request)
    let renderer = stream(answer.header)
    guard let first = await answer.next() else { throw CancellationError() }
    if case .failed(let failure, let sealed) = first {
      throw AnswerTranslation.error(failure, sealed)
    }
    guard request.isStreaming else {
      return try await self.whole(answer, first: first, choices: request.choices, whole)
    }
    let response: Response =
      switch framing {
      case .events:
        .sse { writer in
          try await write(answer, first: first, renderer) { event in
            try await writer.send(event.data, event: event.name)
          }
          // A comment that clients pass over: what is only known once the answer is booked.
          try await writer.comment(comment(await answer.settledFacts()))
        }
      case .lines:
        .stream("application/x-ndjson") { writer in
          try await write(answer, first: first, renderer) { event in
            try await writer.write(event.data + [0x0a])
          }
        }
      }
    return await withFacts(response, answer)
  }

  private static func whole(
    _ answer: any RunningAnswer, first: AnswerOutput, choices: Int,
    _ whole: (AnswerHeader, [AnswerCollector.Choice], AnswerUsage) -> [UInt8]
  ) async throws -> Response {
    var collector = AnswerCollector(choices: choices)
    var next: AnswerOutput? = first
    while let step = next {
      switch step {
      case .tokens(let frame):
        if let delta = AnswerTranslation.deltas(of: frame) { collector.add(delta) }
      case .finished(let usage):
        let body = whole(answer.header, collector.choices, AnswerTranslation.usage(usage))
        return with(await answer.settledFacts(), .json(body), answer)
      case .failed(let failure, let sealed):
        throw AnswerTranslation.error(failure, sealed)
      case .embedding, .json: break
      }
      next = await answer.next()
    }
    throw CancellationError()
  }

  /// Headers that tell where the answer came from.
  static func withFacts(_ response: Response, _ answer: any RunningAnswer) async -> Response {
    with(await answer.facts(), response, answer)
  }

  private static func with(
    _ facts: AnswerFacts, _ response: Response, _ answer: any RunningAnswer
  ) -> Response {
    var response = response
    response.headers.add("X-Darkbloom-Answer", HTTPFieldValue(hex: answer.header.id))
    if let node = facts.node {
      response.headers.add("X-Darkbloom-Node", HTTPFieldValue(hex: node.digest.hex))
    }
    if let tier = facts.tier, let value = try? HTTPFieldValue(tier) {
      response.headers.add("X-Darkbloom-Tier", value)
    }
    response.headers.add("X-Darkbloom-Parts", HTTPFieldValue(facts.parts))
    // The name is known ahead: `darkbloom receipts show` finds the newest part of an answer.
    if let receipt = try? HTTPFieldValue(facts.receipt ?? answer.header.id) {
      response.headers.add("X-Darkbloom-Receipt", receipt)
    }
    if let cost = facts.cost {
      response.headers.add("X-Darkbloom-Cost-Micros", HTTPFieldValue(Int(cost.rawValue)))
    }
    return response
  }

  /// `x-darkbloom node=… tier=… parts=… receipt=… cost-micros=…`, what is known of it.
  static func comment(_ facts: AnswerFacts) -> String {
    var words = ["x-darkbloom"]
    if let node = facts.node { words.append("node=\(node.digest.hex)") }
    if let tier = facts.tier { words.append("tier=\(tier)") }
    words.append("parts=\(facts.parts)")
    if let receipt = facts.receipt { words.append("receipt=\(receipt)") }
    if let cost = facts.cost { words.append("cost-micros=\(cost.rawValue)") }
    return words.joined(separator: " ")
  }

  private static func write(
    _ answer: any RunningAnswer, first: AnswerOutput, _ renderer: some StreamRenderer,
    send: (APIEvent) async throws -> Void
  ) async throws {
    var renderer = renderer
    do {
      for event in renderer.begin() { try await send(event) }
      var next: AnswerOutput? = first
      while let step = next {
        switch step {
        case .tokens(let frame):
          if let delta = AnswerTranslation.deltas(of: frame) {
            for event in renderer.render(delta) { try await send(event) }
          }
        case .finished(let usage):
          for event in renderer.end(usage: AnswerTranslation.usage(usage)) { try await send(event) }
          return
        case .failed(let failure, let sealed):
          let error = AnswerTranslation.error(failure, sealed)
          for event in renderer.fail(error) { try await send(event) }
          return
        case .embedding, .json: break
        }
        next = await answer.next()
      }
      // Without its last step an answer must not look complete: the connection is cut.
      throw CancellationError()
    } catch {
      // The user's program has left: the machine stops within one step.
      await answer.leave()
      throw error
    }
  }
}

extension HTTPFieldValue {
  /// Hexadecimal digits are always a valid value.
  init(hex: String) { self = (try? HTTPFieldValue(hex)) ?? "-" }  // cannot fail for digits
}
