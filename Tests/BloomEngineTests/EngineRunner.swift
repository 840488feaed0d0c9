import BloomBase
import BloomEngine

/// Everything one request answered.
struct Transcript: Equatable {
  var admission: EngineAdmission?
  var frames: [EngineFrame] = []
  var finishes: [Int: EngineFinish] = [:]
  /// Which of the request's stop texts ended a choice.
  var stops: [Int: Int] = [:]
  var vectors: [[Float]] = []
  var usage: EngineUsage?
  var error: EngineError?

  func tokens(_ choice: Int = 0) -> [Int32] {
    frames.filter { $0.choice == choice }.flatMap(\.tokens)
  }

  /// The visible message of a choice as one text; parts are marked so that none can be confused.
  func visible(_ choice: Int = 0) -> String {
    Self.visible(frames.filter { $0.choice == choice }.flatMap(\.deltas))
  }

  static func visible(_ deltas: [EngineDelta]) -> String {
    var content = ""
    var reasoning = ""
    var calls: [String] = []
    for delta in deltas {
      switch delta {
      case .content(let text): content += text
      case .reasoning(let text): reasoning += text
      case .toolCall(let index, let id, let name):
        calls += Array(repeating: "", count: max(0, index + 1 - calls.count))
        calls[index] += "\(id):\(name):"
      case .toolArguments(let index, let text): calls[index] += text
      }
    }
    return content + (reasoning.isEmpty ? "" : "|R|" + reasoning)
      + calls.map { "|C|" + $0 }.joined()
  }
}

/// Runs a request to its end.
func collect(_ engine: any BloomEngine, _ request: EngineRequest) async throws -> Transcript {
  await collect(try engine.submit(request))
}

/// Reads a stream to its end.
func collect(_ stream: EngineStream) async -> Transcript {
  var result = Transcript()
  while let event = await stream.next() {
    switch event {
    case .admitted(let admission): result.admission = admission
    case .tokens(let frame): result.frames.append(frame)
    case .finished(let choice, let reason, let stop):
      result.finishes[choice] = reason
      result.stops[choice] = stop
    case .embeddings(let vectors): result.vectors = vectors
    case .done(let usage): result.usage = usage
    case .failed(let error): result.error = error
    }
  }
  return result
}

/// A chat body with one user message, and more members in JSON.
func chat(_ text: String, _ more: String = "") -> EngineRequest.Job {
  .chat(body: Array("{\"messages\":[{\"role\":\"user\",\"content\":\"\(text)\"}]\(more)}".utf8))
}
