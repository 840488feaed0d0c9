internal import BloomWire

/// The response object of `POST /v1/responses`, whole and in events.
package struct ResponsesAnswer: Sendable {
  /// Where a response stands.
  enum Status: Sendable {
    case inProgress
    case ended(FinishReason, AnswerUsage)
    case failed(APIError)
  }

  let header: AnswerHeader
  let echo: ResponsesRequest.Echo

  /// Creates the writer of an answer's object.
  package init(header: AnswerHeader, echo: ResponsesRequest.Echo) {
    self.header = header
    self.echo = echo
  }

  /// Writes the answer of a client that did not ask for a stream.
  package func body(choice: AnswerCollector.Choice, usage: AnswerUsage) -> [UInt8] {
    var output: [JSONValue] = []
    if !choice.reasoning.isEmpty {
      output.append(reasoningItem(output.count, text: choice.reasoning, isDone: true))
    }
    if !choice.content.isEmpty || output.isEmpty && choice.toolCalls.isEmpty {
      output.append(
        messageItem(
          output.count, text: choice.content, logprobs: choice.textLogprobs + choice.held.rest,
          isDone: true))
    }
    for call in choice.toolCalls {
      output.append(callItem(output.count, call, isDone: true))
    }
    let reason = choice.finishReason ?? .stop
    var writer = JSONWriter(capacity: 2048)
    write(.ended(reason, usage), output: output, to: &writer)
    return writer.bytes
  }

  // MARK: Items

  func itemID(_ prefix: StaticString, _ index: Int) -> String { "\(prefix)_\(header.id)_\(index)" }

  func reasoningItem(_ index: Int, text: String, isDone: Bool) -> JSONValue {
    let part = isDone ? [reasoningPart(text)] : []
    return .members([
      "id": .string(itemID("rs", index)), "type": .string("reasoning"),
      "status": status(isDone),
      "summary": .array(echo.wantsSummary ? part : []),
      "content": .array(echo.wantsSummary ? [] : part),
    ])
  }

  func reasoningPart(_ text: String) -> JSONValue {
    .members([
      "type": .string(echo.wantsSummary ? "summary_text" : "reasoning_text"),
      "text": .string(text),
    ])
  }

  func messageItem(
    _ index: Int, text: String, logprobs: [JSONValue], isDone: Bool
  ) -> JSONValue {
    .members([
      "id": .string(itemID("msg", index)), "type": .string("message"), "status": status(isDone),
      "role": .string("assistant"),
      "content": .array(isDone ? [textPart(text, logprobs)] : []),
    ])
  }

  func textPart(_ text: String, _ logprobs: [JSONValue]) -> JSONValue {
    .members([
      "type": .string("output_text"), "text": .string(text), "annotations": .array([]),
      "logprobs": .array(logprobs),
    ])
  }

  func callItem(_ index: Int, _ call: AnswerCollector.ToolCall, isDone: Bool) -> JSONValue {
    .members([
      "id": .string(itemID("fc", index)), "type": .string("function_call"),
      "status": status(isDone), "call_id": .string(call.id), "name": .string(call.name),
      "arguments": .string(call.arguments),
    ])
  }

  private func status(_ isDone: Bool) -> JSONValue {
    .string(isDone ? "completed" : "in_progress")
  }

  // MARK: The object

  func write(_ status: Status, output: [JSONValue], to writer: inout JSONWriter) {
    writer.object { object in
      object.key("id")
      object.string("resp_\(header.id)")
      object.key("object")
      object.string("response")
      object.key("created_at")
      object.integer(header.created)
      object.key("status")
      object.string(status.word)
      object.key("background")
      object.bool(false)
      object.key("error")
      writeError(status, to: &object)
      object.key("incomplete_details")
      writeDetails(status, to: &object)
      object.key("model")
      object.string(header.model)
      object.key("output")
      object.array { list in for item in output { list.value(item) } }
      for member in echo.members {
        object.key(member.name)
        object.value(member.value)
      }
      object.key("usage")
      guard case .ended(_, let usage) = status else { return object.null() }
      write(usage, to: &object)
    }
  }

  private func writeError(_ status: Status, to writer: inout JSONWriter) {
    guard case .failed(let error) = status else { return writer.null() }
    writer.object {
      $0.key("code")
      $0.string(error.code ?? error.type)
      $0.key("message")
      $0.string(error.message)
    }
  }

  private func writeDetails(_ status: Status, to writer: inout JSONWriter) {
    guard let reason = status.incompleteReason else { return writer.null() }
    writer.object {
      $0.key("reason")
      $0.string(reason)
    }
  }

  private func write(_ usage: AnswerUsage, to writer: inout JSONWriter) {
    writer.object {
      $0.key("input_tokens")
      $0.integer(usage.promptTokens)
      $0.key("input_tokens_details")
      $0.object {
        $0.key("cached_tokens")
        $0.integer(usage.cachedTokens)
      }
      $0.key("output_tokens")
      $0.integer(usage.completionTokens)
      $0.key("output_tokens_details")
      $0.object {
        $0.key("reasoning_tokens")
        $0.integer(usage.reasoningTokens)
      }
      $0.key("total_tokens")
      $0.integer(usage.totalTokens)
    }
  }
}

extension ResponsesAnswer.Status {
  var incompleteReason: String? {
    switch self {
    case .ended(.length, _): "max_output_tokens"
    case .ended, .inProgress, .failed: nil
    }
  }

  var word: String {
    switch self {
    case .inProgress: "in_progress"
    case .failed: "failed"
    case .ended: incompleteReason == nil ? "completed" : "incomplete"
    }
  }
}
