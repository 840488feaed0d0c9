internal import BloomAPI
internal import BloomBase
internal import BloomClient
internal import BloomHTTP
internal import BloomNet

/// Makes the HTTP response of an answer in any dialect.
enum AnswerResponse {
  /// Waits for the first step, so that an answer which cannot be given is an HTTP error.
  ///
  /// - Throws: ``APIError`` when the first step is a failure.
  static func make(
    _ answer: any RunningAnswer, isStreaming: Bool, choices: Int,
    stream renderer: some StreamRenderer,
    whole: (AnswerHeader, [AnswerCollector.Choice], AnswerUsage) -> [UInt8]
  ) async throws -> Response {
    guard let first = await answer.next() else { throw CancellationError() }
    if case .failed(let failure, let sealed) = first {
      throw AnswerTranslation.error(failure, sealed)
    }
    if isStreaming {
      return await withFacts(
        .sse { writer in try await write(answer, first: first, renderer, to: writer) }, answer)
    }
    var collector = AnswerCollector(choices: choices)
    var next: AnswerOutput? = first
    while let step = next {
      switch step {
      case .tokens(let frame):
        if let delta = AnswerTranslation.deltas(of: frame) { collector.add(delta) }
      case .finished(let usage):
        let body = whole(answer.header, collector.choices, AnswerTranslation.usage(usage))
        return await withFacts(.json(body), answer)
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
    let facts = await answer.facts()
    var response = response
    response.headers.add("X-Darkbloom-Answer", HTTPFieldValue(hex: answer.header.id))
    if let node = facts.node {
      response.headers.add("X-Darkbloom-Node", HTTPFieldValue(hex: node.digest.hex))
    }
    if let tier = facts.tier, let value = try? HTTPFieldValue(tier) {
      response.headers.add("X-Darkbloom-Tier", value)
    }
    response.headers.add("X-Darkbloom-Parts", HTTPFieldValue(facts.parts))
    return response
  }

  private static func write(
    _ answer: any RunningAnswer, first: AnswerOutput, _ renderer: some StreamRenderer,
    to writer: EventWriter
  ) async throws {
    var renderer = renderer
    do {
      try await send(renderer.begin(), to: writer)
      var next: AnswerOutput? = first
      while let step = next {
        switch step {
        case .tokens(let frame):
          if let delta = AnswerTranslation.deltas(of: frame) {
            try await send(renderer.render(delta), to: writer)
          }
        case .finished(let usage):
          return try await send(renderer.end(usage: AnswerTranslation.usage(usage)), to: writer)
        case .failed(let failure, let sealed):
          let error = AnswerTranslation.error(failure, sealed)
          return try await send(renderer.fail(error), to: writer)
        case .embedding, .json: break
        }
        next = await answer.next()
      }
    } catch {
      // The user's program has left: the machine stops within one step.
      await answer.leave()
      throw error
    }
  }

  private static func send(_ events: [APIEvent], to writer: EventWriter) async throws {
    for event in events { try await writer.send(event.data, event: event.name) }
  }
}

extension HTTPFieldValue {
  /// Hexadecimal digits are always a valid value.
  init(hex: String) { self = (try? HTTPFieldValue(hex)) ?? "-" }  // cannot fail for digits
}
