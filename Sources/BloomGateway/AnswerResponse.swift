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
  /// A stream whose first step is late begins without it and shows signs of life, so that neither
  /// programs nor proxies give up during a long queue or prefill; its errors are events then.
  /// - Throws: ``APIError`` when nothing left this device, or the first step is a failure.
  static func make(
    _ backend: GatewayBackend, for program: Request, _ request: InferenceRequest,
    framing: Framing = .events, stream: (AnswerHeader) -> some StreamRenderer,
    whole: (AnswerHeader, [AnswerCollector.Choice], AnswerUsage) -> [UInt8]
  ) async throws -> Response {
    let answer = try await backend.service(for: program).begin(request)
    guard request.isStreaming else {
      return try await self.whole(answer, choices: request.choices, whole)
    }
    let renderer = stream(answer.header)
    let reader = AnswerReader(answer, loop: program.connection.loop)
    if case .step(let first) = await reader.first(within: backend.keepAlive) {
      guard let first else { throw CancellationError() }
      if case .failed(let failure, let sealed) = first {
        throw AnswerTranslation.error(failure, sealed)
      }
    }
    let response: Response =
      switch framing {
      case .events:
        .sse { writer in
          try await write(reader, renderer, every: backend.keepAlive) { event in
            guard let event else { return try await writer.raw(comment) }
            try await writer.send(event.data, event: event.name)
          }
          // A comment that clients pass over: what is only known once the answer is booked.
          try await writer.comment(comment(await answer.settledFacts()))
        }
      case .lines:
        .stream("application/x-ndjson") { writer in
          try await write(reader, renderer, every: backend.keepAlive) { event in
            guard let event else { return }
            try await writer.write(event.data + [0x0a])
          }
        }
      }
    return await withFacts(response, answer)
  }

  /// With an empty line after it, for readers that split a stream there.
  private static let comment = Array(": the answer is on its way\n\n".utf8)

  private static func whole(
    _ answer: any RunningAnswer, choices: Int,
    _ whole: (AnswerHeader, [AnswerCollector.Choice], AnswerUsage) -> [UInt8]
  ) async throws -> Response {
    var collector = AnswerCollector(choices: choices)
    while let step = await answer.next() {
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
    if let placement = facts.placement, let value = try? HTTPFieldValue(placement) {
      response.headers.add("X-Darkbloom-Placement", value)
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
    _ reader: AnswerReader, _ renderer: some StreamRenderer, every pause: Duration?,
    send: @escaping @Sendable (APIEvent?) async throws -> Void
  ) async throws {
    var renderer = renderer
    let idle = renderer.idle
    let pulse = StreamPulse(every: pause, loop: reader.loop) { try await send(idle) }
    defer { pulse.stop() }
    do {
      for event in renderer.begin() { try await send(event) }
      while let step = await reader.next() {
        pulse.beat()
        switch step {
        case .tokens(let frame):
          if let delta = AnswerTranslation.deltas(of: frame) {
            for event in renderer.render(delta) { try await send(event) }
          }
        case .finished(let usage):
          pulse.stop()
          for event in renderer.end(usage: AnswerTranslation.usage(usage)) { try await send(event) }
          return
        case .failed(let failure, let sealed):
          pulse.stop()
          let error = AnswerTranslation.error(failure, sealed)
          for event in renderer.fail(error) { try await send(event) }
          return
        case .embedding, .json: break
        }
      }
      // Without its last step an answer must not look complete: the connection is cut.
      throw CancellationError()
    } catch {
      // The user's program has left: the machine stops within one step.
      await reader.leave()
      throw error
    }
  }
}

extension HTTPFieldValue {
  /// Hexadecimal digits are always a valid value.
  init(hex: String) { self = (try? HTTPFieldValue(hex)) ?? "-" }  // cannot fail for digits
}
