import BloomAPI
import BloomBase
import BloomClient
import BloomGateway
import BloomHTTP
import BloomNet
import BloomWire

/// A service that answers every request with the steps of a script.
final class ScriptedService: InferenceService {
  /// What an answer does.
  enum Script: Sendable {
    case steps([AnswerOutput])
    /// The steps, and then nothing until the client has left.
    case hangs(after: [AnswerOutput])
    /// The steps, each after a silence.
    case slow(Duration, [AnswerOutput])
    case throwsError(APIError)
  }

  private let script: Script
  private let served: [ServedModel]
  private let log = Locked<[InferenceRequest]>([])
  private let departures = Locked(0)

  init(_ script: Script, models: [ServedModel] = ScriptedService.models) {
    self.script = script
    served = models
  }

  static let models = [
    ServedModel(
      name: "embed", model: ModelID(digest(1)), isChat: false, isEmbedding: true,
      contextTokens: 512),
    ServedModel(
      name: "org/chat", model: ModelID(digest(2)), isChat: true, isEmbedding: false,
      contextTokens: 4096),
  ]

  /// The requests so far.
  var requests: [InferenceRequest] { log.withLock { $0 } }
  /// Answers whose reader has left.
  var left: Int { departures.withLock { $0 } }

  func models() async throws -> [ServedModel] { served }

  func begin(_ request: InferenceRequest) async throws -> any RunningAnswer {
    log.withLock { $0.append(request) }
    switch script {
    case .throwsError(let error): throw error
    case .steps(let steps):
      return ScriptedAnswer(request.model, steps, hangs: false) { [departures] in
        departures.withLock { $0 += 1 }
      }
    case .slow(let pause, let steps):
      return ScriptedAnswer(request.model, steps, hangs: false, pause: pause) {
        [departures] in departures.withLock { $0 += 1 }
      }
    case .hangs(let steps):
      return ScriptedAnswer(request.model, steps, hangs: true) { [departures] in
        departures.withLock { $0 += 1 }
      }
    }
  }
}

private actor ScriptedAnswer: RunningAnswer {
  nonisolated let header: AnswerHeader
  private var steps: [AnswerOutput]
  private let hangs: Bool
  private let pause: Duration?
  private let onLeave: @Sendable () -> Void
  private var waiter: CheckedContinuation<Void, Never>?
  private var hasLeft = false

  init(
    _ model: String, _ steps: [AnswerOutput], hangs: Bool, pause: Duration? = nil,
    onLeave: @escaping @Sendable () -> Void
  ) {
    self.pause = pause
    header = AnswerHeader(id: "00ff", created: 1_700_000_000, model: model)
    self.steps = steps
    self.hangs = hangs
    self.onLeave = onLeave
  }

  func next() async -> AnswerOutput? {
    if let pause, !steps.isEmpty { try? await Task.sleep(for: pause) }  // left when cancelled
    if !steps.isEmpty { return steps.removeFirst() }
    guard hangs, !hasLeft else { return nil }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if hasLeft { return continuation.resume() }
        waiter = continuation
      }
    } onCancel: {
      Task { await self.leave() }
    }
    return nil
  }

  func leave() {
    guard !hasLeft else { return }
    hasLeft = true
    onLeave()
    waiter?.resume()
    waiter = nil
  }

  func settledFacts() -> AnswerFacts { facts() }

  func facts() -> AnswerFacts {
    AnswerFacts(
      node: NodeID(digest(3)), tier: "confidential", parts: 2, placement: "0303 chosen wait=0")
  }
}

/// Text as machines send it, a usage, and the end.
func says(_ pieces: String..., finish: BloomWire.FinishReason = .stop) -> [AnswerOutput] {
  var steps: [AnswerOutput] = pieces.map {
    .tokens(TokenFrame(tokens: [1], deltas: [.content($0)]))
  }
  steps.append(.tokens(TokenFrame(tokens: [2], finish: finish)))
  steps.append(.finished(Usage(promptTokens: 5, completionTokens: 3)))
  return steps
}

func digest(_ byte: UInt8) -> Digest {
  unsafe Digest { memory in for index in memory.indices { unsafe memory[index] = byte } }
}

struct FixedTime: TimeSource {
  func now() -> Instant { Instant(nanoseconds: 0) }
  func unixTime() -> UnixTime { UnixTime(1_700_000_000) }
}

/// A gateway over the in-memory transport while a test's body runs.
func withGateway<R: Sendable>(
  _ service: ScriptedService, access: LocalAccess = LocalAccess(token: nil),
  metrics: MetricsRegistry = MetricsRegistry(), keepAlive: Duration? = nil,
  tap: WireTap? = nil,
  _ body: @Sendable (HTTPClient) async throws -> R
) async throws -> R {
  let network = MemoryNetwork()
  let router = GatewayRouter.make(
    service: service, access: access, metrics: metrics, time: FixedTime(), keepAlive: keepAlive,
    tap: tap)
  let server = HTTPServer(.init(.memory(network)), responder: router)
  let running = Task { try await server.run() }
  _ = try await server.boundAddresses()
  var configuration = HTTPClient.Configuration()
  configuration.memory = network
  let client = HTTPClient(configuration)
  do {
    let result = try await body(client)
    client.close()
    running.cancel()
    try await running.value
    return result
  } catch {
    client.close()
    running.cancel()
    _ = await running.result
    throw error
  }
}

/// A response whose body was read to its end.
struct Answer: Sendable {
  let status: Int
  let headers: HTTPFields
  let text: String

  var json: JSONValue? { try? JSONValue(decoding: Array(text.utf8)) }
  /// The lines that are neither empty nor comments.
  var lines: [String] { text.split(separator: "\n").map(String.init).filter { $0.first != ":" } }
  /// The comments of an event stream.
  var comments: [String] {
    text.split(separator: "\n").filter { $0.first == ":" }.map { String($0.dropFirst(2)) }
  }
}

extension HTTPClient {
  func post(
    _ path: String, _ json: String, headers: [(HTTPFieldName, HTTPFieldValue)] = []
  ) async throws -> Answer {
    var request = try ClientRequest.post("http://localhost:8642\(path)", Array(json.utf8))
    for (name, value) in headers { request.headers.add(name, value) }
    return try await answer(request)
  }

  func get(
    _ path: String, headers: [(HTTPFieldName, HTTPFieldValue)] = []
  ) async throws -> Answer {
    var request = try ClientRequest.get("http://localhost:8642\(path)")
    for (name, value) in headers { request.headers.add(name, value) }
    return try await answer(request)
  }

  func answer(_ request: ClientRequest) async throws -> Answer {
    let response = try await send(request)
    let bytes = try await response.body.collect(upTo: 1 << 20)
    return Answer(
      status: response.status.code, headers: response.headers,
      text: String(decoding: bytes, as: UTF8.self))
  }
}

/// Runs `body` again and again until it is true; for effects that another thread will have.
func eventually(_ body: () async -> Bool) async throws -> Bool {
  for _ in 0..<500 {
    if await body() { return true }
    try await Task.sleep(for: .milliseconds(10))
  }
  return false
}
