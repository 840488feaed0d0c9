package import BloomAPI
package import BloomBase
package import BloomClient
internal import BloomWire

/// Counts what a service does; content and names of users are not in the metrics.
package struct MeteredService: InferenceService {
  private let service: any InferenceService
  private let meters: AnswerMeters
  private let time: any TimeSource

  /// Wraps a service.
  package init(_ service: any InferenceService, metrics: MetricsRegistry, time: any TimeSource) {
    self.service = service
    self.time = time
    meters = AnswerMeters(metrics)
  }

  /// The models of the service.
  package func models() async throws -> [ServedModel] { try await service.models() }

  /// Starts an answer and counts it.
  package func begin(_ request: InferenceRequest) async throws -> any RunningAnswer {
    let start = time.now()
    do {
      return MeteredAnswer(try await service.begin(request), meters, time, start)
    } catch {
      meters.refused.add()
      throw error
    }
  }
}

/// The metrics of answers.
private struct AnswerMeters: Sendable {
  let finished: Counter
  let failed: Counter
  let left: Counter
  let refused: Counter
  let running: Gauge
  let promptTokens: Counter
  let completionTokens: Counter
  let firstStep: Histogram

  init(_ metrics: MetricsRegistry) {
    let name: StaticString = "darkbloom_gateway_answers_total"
    let help: StaticString = "Answers by how they ended"
    finished = metrics.counter(name, help, ["end": "finished"])
    failed = metrics.counter(name, help, ["end": "failed"])
    left = metrics.counter(name, help, ["end": "left"])
    refused = metrics.counter(name, help, ["end": "refused"])
    running = metrics.gauge("darkbloom_gateway_answers_running", "Answers under way")
    promptTokens = metrics.counter(
      "darkbloom_gateway_prompt_tokens_total", "Tokens of the prompts of finished answers")
    completionTokens = metrics.counter(
      "darkbloom_gateway_completion_tokens_total", "Tokens delivered by finished answers")
    firstStep = metrics.histogram(
      "darkbloom_gateway_first_step_seconds", "Time from a request to its first step")
  }
}

private final class MeteredAnswer: RunningAnswer {
  private struct State: Sendable {
    var hasStarted = false
    var isOver = false
  }

  private let answer: any RunningAnswer
  private let meters: AnswerMeters
  private let time: any TimeSource
  private let start: Instant
  private let state = Locked(State())

  init(
    _ answer: any RunningAnswer, _ meters: AnswerMeters, _ time: any TimeSource, _ start: Instant
  ) {
    self.answer = answer
    self.meters = meters
    self.time = time
    self.start = start
    meters.running.add(1)
  }

  deinit { end(meters.left) }

  var header: AnswerHeader { answer.header }

  func next() async -> AnswerOutput? {
    let step = await answer.next()
    let isFirst = state.withLock { state in
      defer { state.hasStarted = true }
      return !state.hasStarted
    }
    if isFirst { meters.firstStep.record(time.now() - start) }
    switch step {
    case .finished(let usage):
      meters.promptTokens.add(usage.promptTokens)
      meters.completionTokens.add(usage.completionTokens)
      end(meters.finished)
    case .failed: end(meters.failed)
    case nil: end(meters.left)
    case .tokens, .embedding, .json: break
    }
    return step
  }

  func leave() async {
    end(meters.left)
    await answer.leave()
  }

  func facts() async -> AnswerFacts { await answer.facts() }

  func settledFacts() async -> AnswerFacts { await answer.settledFacts() }

  /// Counts one end; later ones are the same answer's.
  private func end(_ counter: Counter) {
    let isFirst = state.withLock { state in
      defer { state.isOver = true }
      return !state.isOver
    }
    guard isFirst else { return }
    meters.running.add(-1)
    counter.add()
  }
}
