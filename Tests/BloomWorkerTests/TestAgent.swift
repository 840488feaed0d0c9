import BloomBase
import BloomEngine
import BloomPlatform
import BloomWire
import BloomWorker

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The agent's end of a worker's channel; reads on a thread of its own.
actor TestAgent {
  private let executor = ThreadExecutor(name: "test-agent")
  private let descriptor: Int32
  private var framing = LengthFraming(limit: WorkerLinkLimits.message)

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(descriptor: Int32) { self.descriptor = descriptor }

  /// The next event; `nil` at the end.
  func next() throws -> WorkerEvent? {
    while true {
      if let message = try framing.next() { return try WorkerEvent(decoding: message) }
      var buffer = [UInt8](repeating: 0, count: 65_536)
      let count = unsafe read(descriptor, &buffer, buffer.count)
      if count <= 0 { return nil }
      framing.append(buffer[..<count])
    }
  }

  /// The next event that is neither a beat nor a report of capacity.
  func nextNews() throws -> WorkerEvent? {
    while let event = try next() {
      switch event {
      case .beat, .capacity: continue
      default: return event
      }
    }
    return nil
  }

  nonisolated func send(_ command: WorkerCommand) { send(raw: command.encoded) }

  nonisolated func send(raw message: [UInt8]) {
    let bytes = LengthFraming.framed(message)
    _ = unsafe write(descriptor, bytes, bytes.count)
  }

  /// Sends a whole envelope in pieces.
  nonisolated func request(_ stream: StreamID, _ envelope: [UInt8], credit: Int = 1 << 20) {
    send(.begin(stream, byteCount: envelope.count, credit: credit))
    for start in stride(from: 0, to: envelope.count, by: 100) {
      send(.chunk(stream, Array(envelope[start..<min(start + 100, envelope.count)])))
    }
  }

  nonisolated func closeChannel() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  deinit {
    close(descriptor)
    executor.stop()
  }
}

/// What an agent saw of one answer.
struct SeenAnswer {
  var accepted = false
  var frames: [Frame] = []
  var running: [String] = []
  var end: WorkerEvent?
  var text: String {
    var text = ""
    for case .tokens(let frame) in frames {
      for case .content(let piece) in frame.deltas { text += piece }
    }
    return text
  }
  var tokenCount: Int {
    frames.reduce(0) { sum, frame in
      if case .tokens(let frame) = frame { sum + frame.tokens.count } else { sum }
    }
  }
}

/// A worker over a socketpair with a scripted engine.
func withWorker(
  script: ScriptedEngine.Script = ScriptedEngine.Script(), padding: PaddingProfile = .off,
  policy: OwnerPolicy = .open, engine: (any BloomEngine)? = nil,
  time: any TimeSource = SystemTime(), _ body: (TestAgent, PlainKeyring) async throws -> Void
) async throws {
  var ends: [Int32] = [0, 0]
  #if canImport(Glibc)
  let kind = Int32(SOCK_STREAM.rawValue)
  #else
  let kind = SOCK_STREAM
  #endif
  guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw WorkerError(.channel, "") }
  let (mine, theirs) = (ends[0], ends[1])
  defer { close(theirs) }
  let keyring = PlainKeyring(padding: padding)
  let engine = engine ?? ScriptedEngine(script: script)
  let worker = try Worker(
    descriptor: theirs,
    facts: Worker.Facts(model: ModelID(.zero), protections: ["no-network"], filter: .zero),
    policy: policy, engine: engine, keyring: keyring, time: time)
  let agent = TestAgent(descriptor: mine)
  let running = Task { try await worker.run() }
  do {
    try await body(agent, keyring)
  } catch {
    agent.closeChannel()
    _ = await running.result
    throw error
  }
  agent.closeChannel()
  _ = await running.result
  await engine.stop()
}

extension TestAgent {
  /// Reads one answer to its end.
  func answer(_ stream: StreamID) throws -> SeenAnswer {
    var seen = SeenAnswer()
    var decoder = FrameDecoder()
    while let event = try nextNews() {
      switch event {
      case .accept(stream): seen.accepted = true
      case .chunk(stream, let bytes):
        seen.frames += try decoder.append(bytes[...]).map { try Frame(decoding: $0) }
      case .receipt(stream, let receipt):
        seen.running.append(String(decoding: receipt, as: UTF8.self))
      case .done(stream, _), .handback(stream, _, _), .refuse(stream, _, _), .failed:
        seen.end = event
        return seen
      default: continue
      }
    }
    return seen
  }

  /// Waits for `ready` and vouches for its keys.
  func begin() throws -> WorkerReady {
    while let event = try nextNews() {
      guard case .ready(let ready) = event else { continue }
      for key in ready.keys { send(.vouched(key.kid, evidence: .zero)) }
      return ready
    }
    throw WorkerError(.channel, "no worker")
  }
}

/// A small chat request.
func chat(
  _ members: [JSONValue.Member] = [], text: String = "hello", content: JSONValue? = nil
) throws -> CanonicalRequest {
  var generator = SeededGenerator(seed: 1)
  let messages = JSONValue.array([
    .members(["role": .string("user"), "content": content ?? .string(text)])
  ])
  return CanonicalRequest(
    kind: .chat, body: .object([JSONValue.Member("messages", messages)] + members),
    answer: .init(
      id: AnswerID(using: &generator), created: UnixTime(1), now: UnixTime(1), seed: 7),
    salt: "s")
}
