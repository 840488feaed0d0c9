internal import BloomWire

/// Answers of `POST /v1/chat/completions`.
package struct ChatStream: StreamRenderer {
  private let header: AnswerHeader
  private let includesUsage: Bool
  private let choices: Int

  /// Creates a renderer.
  package init(header: AnswerHeader, choices: Int, includesUsage: Bool) {
    self.header = header
    self.choices = choices
    self.includesUsage = includesUsage
  }

  /// One chunk a choice with its role, as OpenAI sends it.
  package mutating func begin() -> [APIEvent] {
    (0..<choices).map { choice in
      chunk(choice) {
        $0.key("role")
        $0.string("assistant")
        $0.key("content")
        $0.string("")
      }
    }
  }

  /// At most one chunk, and a second for the finish reason.
  package mutating func render(_ delta: AnswerDelta) -> [APIEvent] {
    var events: [APIEvent] = []
    if delta.content != nil || delta.reasoning != nil || !delta.toolCalls.isEmpty
      || !delta.logprobs.isEmpty
    {
      events.append(
        chunk(delta.choice, logprobs: delta.logprobs) { writer in
          if let reasoning = delta.reasoning {
            writer.key("reasoning_content")
            writer.string(reasoning)
          }
          if let content = delta.content {
            writer.key("content")
            writer.string(content)
          }
          if !delta.toolCalls.isEmpty {
            writer.key("tool_calls")
            writer.array { list in for call in delta.toolCalls { write(call, to: &list) } }
          }
        })
    }
    if let reason = delta.finishReason {
      events.append(chunk(delta.choice, finishReason: reason) { _ in })
    }
    return events
  }

  /// The usage chunk when asked for, then `[DONE]`.
  package mutating func end(usage: AnswerUsage) -> [APIEvent] {
    guard includesUsage else { return [.done] }
    var writer = JSONWriter()
    writer.object {
      writeHead(&$0)
      $0.key("choices")
      $0.array { _ in }
      $0.key("usage")
      usage.writeOpenAI(&$0)
    }
    return [APIEvent(data: writer.bytes), .done]
  }

  /// OpenAI's error object as the last event.
  package mutating func fail(_ error: APIError) -> [APIEvent] { [APIEvent(data: error.openAIBody)] }

  private func writeHead(_ writer: inout JSONWriter) {
    writer.key("id")
    writer.string("chatcmpl-\(header.id)")
    writer.key("object")
    writer.string("chat.completion.chunk")
    writer.key("created")
    writer.integer(header.created)
    writer.key("model")
    writer.string(header.model)
  }

  private func chunk(
    _ choice: Int, logprobs: [JSONValue] = [], finishReason: FinishReason? = nil,
    _ delta: (inout JSONWriter) -> Void
  ) -> APIEvent {
    var writer = JSONWriter(capacity: 320)
    writer.object { object in
      writeHead(&object)
      object.key("choices")
      object.array { list in
        list.object {
          $0.key("index")
          $0.integer(choice)
          $0.key("delta")
          $0.object(delta)
          $0.key("logprobs")
          ChatAnswer.write(logprobs: logprobs, to: &$0)
          $0.key("finish_reason")
          if let finishReason { $0.string(finishReason.rawValue) } else { $0.null() }
        }
      }
      if includesUsage {
        object.key("usage")
        object.null()
      }
    }
    return APIEvent(data: writer.bytes)
  }

  private func write(_ call: AnswerDelta.ToolCallDelta, to writer: inout JSONWriter) {
    writer.object {
      $0.key("index")
      $0.integer(call.index)
      if let id = call.id {
        $0.key("id")
        $0.string(id)
        $0.key("type")
        $0.string("function")
      }
      $0.key("function")
      $0.object {
        if let name = call.name {
          $0.key("name")
          $0.string(name)
        }
        $0.key("arguments")
        $0.string(call.arguments)
      }
    }
  }
}

/// The whole object of `POST /v1/chat/completions`.
package enum ChatAnswer: Sendable {
  /// Writes the answer of a client that did not ask for a stream.
  package static func body(
    header: AnswerHeader, choices: [AnswerCollector.Choice], usage: AnswerUsage
  ) -> [UInt8] {
    var writer = JSONWriter(capacity: 1024)
    writer.object { object in
      object.key("id")
      object.string("chatcmpl-\(header.id)")
      object.key("object")
      object.string("chat.completion")
      object.key("created")
      object.integer(header.created)
      object.key("model")
      object.string(header.model)
      object.key("choices")
      object.array { list in
        for (index, choice) in choices.enumerated() { write(choice, index, to: &list) }
      }
      object.key("usage")
      usage.writeOpenAI(&object)
    }
    return writer.bytes
  }

  private static func write(
    _ choice: AnswerCollector.Choice, _ index: Int, to writer: inout JSONWriter
  ) {
    writer.object { object in
      object.key("index")
      object.integer(index)
      object.key("message")
      object.object { message in
        message.key("role")
        message.string("assistant")
        message.key("content")
        if choice.content.isEmpty && !choice.toolCalls.isEmpty {
          message.null()
        } else {
          message.string(choice.content)
        }
        message.key("refusal")
        message.null()
        if !choice.reasoning.isEmpty {
          message.key("reasoning_content")
          message.string(choice.reasoning)
        }
        if !choice.toolCalls.isEmpty {
          message.key("tool_calls")
          message.array { list in
            for call in choice.toolCalls {
              list.object {
                $0.key("id")
                $0.string(call.id)
                $0.key("type")
                $0.string("function")
                $0.key("function")
                $0.object {
                  $0.key("name")
                  $0.string(call.name)
                  $0.key("arguments")
                  $0.string(call.arguments)
                }
              }
            }
          }
        }
      }
      object.key("logprobs")
      write(logprobs: choice.logprobs, to: &object)
      object.key("finish_reason")
      object.string((choice.finishReason ?? .stop).rawValue)
    }
  }

  static func write(logprobs: [JSONValue], to writer: inout JSONWriter) {
    guard !logprobs.isEmpty else { return writer.null() }
    writer.object {
      $0.key("content")
      $0.array { list in for item in logprobs { list.value(item) } }
      $0.key("refusal")
      $0.null()
    }
  }
}
