internal import BloomWire

/// Events of `POST /v1/responses`: each item is opened, grows and is closed before the next.
package struct ResponsesStream: StreamRenderer {
  /// The item that grows.
  private enum Item: Equatable {
    case reasoning
    case message
    case call(Int)
  }

  private let answer: ResponsesAnswer
  private var sequence = 0
  private var open: Item?
  private var text = ""
  private var logprobs: [JSONValue] = []
  private var held = TextLogprobs()
  private var call = AnswerCollector.ToolCall(id: "", name: "", arguments: "")
  private var finishReason: FinishReason = .stop
  /// Items that are complete.
  private var output: [JSONValue] = []
  private var events: [APIEvent] = []

  /// Creates a renderer.
  package init(header: AnswerHeader, echo: ResponsesRequest.Echo) {
    answer = ResponsesAnswer(header: header, echo: echo)
  }

  /// `response.created` and `response.in_progress`.
  package mutating func begin() -> [APIEvent] {
    emitResponse("response.created", .inProgress)
    emitResponse("response.in_progress", .inProgress)
    return take()
  }

  /// The steps of one item, and the end of the one before.
  package mutating func render(_ delta: AnswerDelta) -> [APIEvent] {
    guard delta.choice == 0 else { return [] }
    let own = held.take(delta)
    if let reasoning = delta.reasoning, !reasoning.isEmpty {
      enter(.reasoning)
      text += reasoning
      emitPart(wantsSummary ? summaryDelta : "response.reasoning_text.delta", inReasoning: true) {
        $0.key("delta")
        $0.string(reasoning)
      }
    }
    if let content = delta.content, !content.isEmpty {
      enter(.message)
      text += content
      logprobs += own
      emitPart("response.output_text.delta") {
        $0.key("delta")
        $0.string(content)
        $0.key("logprobs")
        $0.array { list in for item in own { list.value(item) } }
      }
    }
    for step in delta.toolCalls { render(step) }
    finishReason = delta.finishReason ?? finishReason
    return take()
  }

  /// Closes what is open; then `response.completed` or `response.incomplete`.
  package mutating func end(usage: AnswerUsage) -> [APIEvent] {
    if output.isEmpty, open == nil { enter(.message) }
    if open == .message { logprobs += held.rest }
    close()
    let status = ResponsesAnswer.Status.ended(finishReason, usage)
    emitResponse("response.\(status.word)", status)
    return take()
  }

  /// `response.failed`; items that were open stay so.
  package mutating func fail(_ error: APIError) -> [APIEvent] {
    emitResponse("response.failed", .failed(error))
    return take()
  }

  // MARK: Items

  private mutating func render(_ step: AnswerDelta.ToolCallDelta) {
    if open != .call(step.index) {
      close()
      call = .init(id: step.id ?? "", name: step.name ?? "", arguments: "")
      enter(.call(step.index))
    }
    guard !step.arguments.isEmpty else { return }
    call.arguments += step.arguments
    emitItem("response.function_call_arguments.delta", id: answer.itemID("fc", output.count)) {
      $0.key("delta")
      $0.string(step.arguments)
    }
  }

  private mutating func enter(_ item: Item) {
    if open == item { return }
    close()
    open = item
    let value = self.value(of: item, isDone: false)
    let index = output.count
    emit("response.output_item.added") {
      $0.key("output_index")
      $0.integer(index)
      $0.key("item")
      $0.value(value)
    }
    if case .call = item { return }
    let part = item == .message ? answer.textPart("", []) : answer.reasoningPart("")
    let type = "response.\(isSummary(item) ? "reasoning_summary_part" : "content_part").added"
    emitPart(type, inReasoning: item == .reasoning) {
      $0.key("part")
      $0.value(part)
    }
  }

  private mutating func close() {
    guard let item = open else { return }
    open = nil
    switch item {
    case .call: closeCall()
    case .message, .reasoning: closeParts(item)
    }
    let value = self.value(of: item, isDone: true)
    let index = output.count
    emit("response.output_item.done") {
      $0.key("output_index")
      $0.integer(index)
      $0.key("item")
      $0.value(value)
    }
    output.append(value)
    text = ""
    logprobs = []
  }

  private mutating func closeParts(_ item: Item) {
    let isMessage = item == .message
    let text = text
    let logprobs = logprobs
    let type =
      isMessage ? "output_text" : wantsSummary ? "reasoning_summary_text" : "reasoning_text"
    emitPart("response.\(type).done", inReasoning: !isMessage) {
      $0.key("text")
      $0.string(text)
      if isMessage {
        $0.key("logprobs")
        $0.array { list in for item in logprobs { list.value(item) } }
      }
    }
    let part = isMessage ? answer.textPart(text, logprobs) : answer.reasoningPart(text)
    let partType = "response.\(isSummary(item) ? "reasoning_summary_part" : "content_part").done"
    emitPart(partType, inReasoning: !isMessage) {
      $0.key("part")
      $0.value(part)
    }
  }

  private mutating func closeCall() {
    let call = call
    emitItem("response.function_call_arguments.done", id: answer.itemID("fc", output.count)) {
      $0.key("name")
      $0.string(call.name)
      $0.key("arguments")
      $0.string(call.arguments)
    }
  }

  private func value(of item: Item, isDone: Bool) -> JSONValue {
    switch item {
    case .reasoning: answer.reasoningItem(output.count, text: text, isDone: isDone)
    case .message:
      answer.messageItem(output.count, text: text, logprobs: logprobs, isDone: isDone)
    case .call: answer.callItem(output.count, call, isDone: isDone)
    }
  }

  private var wantsSummary: Bool { answer.echo.wantsSummary }
  private var summaryDelta: String { "response.reasoning_summary_text.delta" }

  private func isSummary(_ item: Item) -> Bool { item == .reasoning && wantsSummary }

  // MARK: Events

  private mutating func emitResponse(_ type: String, _ status: ResponsesAnswer.Status) {
    let answer = answer
    let output = output
    emit(type) {
      $0.key("response")
      answer.write(status, output: output, to: &$0)
    }
  }

  /// An event of the first part of the item that grows.
  private mutating func emitPart(
    _ type: String, inReasoning: Bool = false, _ members: (inout JSONWriter) -> Void
  ) {
    let id = answer.itemID(inReasoning ? "rs" : "msg", output.count)
    let isSummary = inReasoning && wantsSummary
    emitItem(type, id: id) {
      $0.key(isSummary ? "summary_index" : "content_index")
      $0.integer(0)
      members(&$0)
    }
  }

  private mutating func emitItem(
    _ type: String, id: String, _ members: (inout JSONWriter) -> Void
  ) {
    let index = output.count
    emit(type) {
      $0.key("item_id")
      $0.string(id)
      $0.key("output_index")
      $0.integer(index)
      members(&$0)
    }
  }

  private mutating func emit(_ type: String, _ members: (inout JSONWriter) -> Void) {
    var writer = JSONWriter(capacity: 320)
    let number = sequence
    writer.object {
      $0.key("type")
      $0.string(type)
      $0.key("sequence_number")
      $0.integer(number)
      members(&$0)
    }
    sequence += 1
    events.append(APIEvent(name: type, data: writer.bytes))
  }

  private mutating func take() -> [APIEvent] {
    defer { events = [] }
    return events
  }
}
