internal import BloomBase
internal import BloomWire

/// Lines of `POST /api/chat` and `POST /api/generate`, and their whole objects.
package struct OllamaStream: StreamRenderer {
  /// Which of the two endpoints.
  package enum Endpoint: Sendable {
    /// Text is in `message`.
    case chat
    /// Text is in `response`.
    case generate
  }

  private let header: AnswerHeader
  private let endpoint: Endpoint
  private let showsThinking: Bool
  private var calls = AnswerCollector.Choice()
  private var finishReason: FinishReason = .stop

  /// Creates a renderer; `showsThinking` tells whether reasoning is sent.
  package init(header: AnswerHeader, endpoint: Endpoint, showsThinking: Bool) {
    self.header = header
    self.endpoint = endpoint
    self.showsThinking = showsThinking
  }

  /// Nothing: the first line has text.
  package mutating func begin() -> [APIEvent] { [] }

  /// A line without text: every line must be an answer's.
  package var idle: APIEvent? {
    line {
      writeText("", "", [], to: &$0)
      $0.key("done")
      $0.bool(false)
    }
  }

  /// A line with new text; calls wait for their end, because Ollama sends them whole.
  package mutating func render(_ delta: AnswerDelta) -> [APIEvent] {
    guard delta.choice == 0 else { return [] }
    finishReason = delta.finishReason ?? finishReason
    calls.add(AnswerDelta(toolCalls: delta.toolCalls))
    let reasoning = showsThinking ? delta.reasoning ?? "" : ""
    let content = delta.content ?? ""
    if reasoning.isEmpty, content.isEmpty { return [] }
    return [
      line {
        writeText(content, reasoning, [], to: &$0)
        $0.key("done")
        $0.bool(false)
      }
    ]
  }

  /// The calls, and the line that is `done`.
  package mutating func end(usage: AnswerUsage) -> [APIEvent] {
    var lines: [APIEvent] = []
    if !calls.toolCalls.isEmpty {
      let calls = calls.toolCalls
      lines.append(
        line {
          writeText("", "", calls, to: &$0)
          $0.key("done")
          $0.bool(false)
        })
    }
    lines.append(line { writeEnd("", "", [], usage, to: &$0) })
    return lines
  }

  /// Ollama's error object as the last line.
  package mutating func fail(_ error: APIError) -> [APIEvent] {
    [APIEvent(data: error.ollamaBody)]
  }

  /// Writes the answer of a client that did not ask for a stream.
  package mutating func body(choice: AnswerCollector.Choice, usage: AnswerUsage) -> [UInt8] {
    finishReason = choice.finishReason ?? .stop
    let reasoning = showsThinking ? choice.reasoning : ""
    return line { writeEnd(choice.content, reasoning, choice.toolCalls, usage, to: &$0) }.data
  }

  /// The answer to a request without a prompt: machines keep their models loaded.
  package func loaded() -> [UInt8] {
    line {
      writeText("", "", [], to: &$0)
      $0.key("done")
      $0.bool(true)
      $0.key("done_reason")
      $0.string("load")
    }.data
  }

  private func writeEnd(
    _ content: String, _ reasoning: String, _ calls: [AnswerCollector.ToolCall],
    _ usage: AnswerUsage, to writer: inout JSONWriter
  ) {
    writeText(content, reasoning, calls, to: &writer)
    writer.key("done")
    writer.bool(true)
    writer.key("done_reason")
    writer.string(finishReason == .length ? "length" : "stop")
    writer.key("prompt_eval_count")
    writer.integer(usage.promptTokens)
    writer.key("eval_count")
    writer.integer(usage.completionTokens)
  }

  private func writeText(
    _ content: String, _ reasoning: String, _ calls: [AnswerCollector.ToolCall],
    to writer: inout JSONWriter
  ) {
    guard endpoint == .chat else {
      writer.key("response")
      writer.string(content)
      if !reasoning.isEmpty {
        writer.key("thinking")
        writer.string(reasoning)
      }
      return
    }
    writer.key("message")
    writer.object { message in
      message.key("role")
      message.string("assistant")
      message.key("content")
      message.string(content)
      if !reasoning.isEmpty {
        message.key("thinking")
        message.string(reasoning)
      }
      if !calls.isEmpty { write(calls, to: &message) }
    }
  }

  private func write(_ calls: [AnswerCollector.ToolCall], to writer: inout JSONWriter) {
    writer.key("tool_calls")
    writer.array { list in
      for call in calls {
        // A call that the token limit cut is no JSON: nobody could run it.
        guard let arguments = AnthropicAnswer.arguments(call.arguments) else { continue }
        list.object {
          $0.key("function")
          $0.object {
            $0.key("name")
            $0.string(call.name)
            $0.key("arguments")
            $0.value(arguments)
          }
        }
      }
    }
  }

  private func line(_ members: (inout JSONWriter) -> Void) -> APIEvent {
    var writer = JSONWriter(capacity: 192)
    writer.object {
      $0.key("model")
      $0.string(header.model)
      $0.key("created_at")
      $0.string(OllamaTime.text(header.created))
      members(&$0)
    }
    return APIEvent(data: writer.bytes)
  }
}

/// Times as Ollama writes them.
enum OllamaTime {
  /// RFC 3339 in UTC, to the second.
  static func text(_ unixSeconds: Int64) -> String {
    let seconds = min(253_402_300_799, max(0, unixSeconds))
    let date = CivilDate(daysSince1970: UnixTime(seconds).daysSince1970)
    let time = [seconds % 86_400 / 3600, seconds % 3600 / 60, seconds % 60].map(two)
    return "\(date)T\(time.joined(separator: ":"))Z"
  }

  private static func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

/// `GET /api/tags` and `GET /api/version`.
package enum OllamaModels: Sendable {
  /// The release of Ollama whose API is spoken; clients refuse older ones.
  package static let version = "0.12.6"

  /// The models that can be asked now; sizes and dates are the machines' own and unknown here.
  package static func tags(_ entries: [(entry: ModelList.Entry, digest: String)]) -> [UInt8] {
    let sorted = entries.sorted {
      ($0.entry.isChat ? 0 : 1, $0.entry.name) < ($1.entry.isChat ? 0 : 1, $1.entry.name)
    }
    let models = sorted.map { entry, digest in
      JSONValue.members([
        "name": .string(entry.name), "model": .string(entry.name),
        "modified_at": .string(OllamaTime.text(entry.created)), "size": .integer(0),
        "digest": .string(digest),
        "details": .members([
          "parent_model": .string(""), "format": .string("gguf"), "family": .string(""),
          "families": .null, "parameter_size": .string(""), "quantization_level": .string(""),
        ]),
      ])
    }
    return JSONValue.members(["models": .array(models)]).encoded
  }

  /// The version object.
  package static var versionBody: [UInt8] {
    JSONValue.members(["version": .string(version)]).encoded
  }
}
