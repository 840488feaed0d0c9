internal import BloomWire

/// Events of `POST /v1/messages`: blocks of content one after the other.
package struct AnthropicStream: StreamRenderer {
  /// The block that grows.
  private enum Block: Equatable {
    case thinking
    case text
    case toolUse(Int)
  }

  private let header: AnswerHeader
  private let showsThinking: Bool
  private let stops: [String]
  private var open: Block?
  private var index = 0
  private var stopReason: FinishReason = .stop
  private var stopSequence: String?
  private var events: [APIEvent] = []

  /// Creates a renderer.
  ///
  /// - Parameters:
  ///   - header: Of the answer.
  ///   - showsThinking: Whether thinking was asked for; otherwise reasoning is left out.
  ///   - stops: The request's ``InferenceRequest/stops``.
  package init(header: AnswerHeader, showsThinking: Bool, stops: [String] = []) {
    self.header = header
    self.showsThinking = showsThinking
    self.stops = stops
  }

  /// `message_start`, whose usage is not known yet, and a `ping`.
  package mutating func begin() -> [APIEvent] {
    let header = header
    emit("message_start") {
      $0.key("message")
      AnthropicAnswer.writeMessage(
        header, content: [], stopReason: nil, stopSequence: nil, usage: AnswerUsage(), to: &$0)
    }
    emit("ping") { _ in }
    return take()
  }

  /// Anthropic's `ping`.
  package var idle: APIEvent? { APIEvent(name: "ping", data: Array(#"{"type":"ping"}"#.utf8)) }

  /// Steps of blocks, and the end of the one before.
  package mutating func render(_ delta: AnswerDelta) -> [APIEvent] {
    guard delta.choice == 0 else { return [] }
    if showsThinking, let reasoning = delta.reasoning, !reasoning.isEmpty {
      enter(.thinking) {
        $0.key("type")
        $0.string("thinking")
        $0.key("thinking")
        $0.string("")
        $0.key("signature")
        $0.string("")
      }
      emitDelta("thinking_delta", "thinking", reasoning)
    }
    if let content = delta.content, !content.isEmpty {
      enter(.text) {
        $0.key("type")
        $0.string("text")
        $0.key("text")
        $0.string("")
      }
      emitDelta("text_delta", "text", content)
    }
    for step in delta.toolCalls { render(step) }
    stopReason = delta.finishReason ?? stopReason
    stopSequence = AnthropicAnswer.stopSequence(delta.stop, of: stops) ?? stopSequence
    return take()
  }

  /// Closes the open block; then `message_delta` with the usage, and `message_stop`.
  package mutating func end(usage: AnswerUsage) -> [APIEvent] {
    close()
    let (reason, sequence) = (stopReason, stopSequence)
    emit("message_delta") {
      $0.key("delta")
      $0.object { AnthropicAnswer.write(reason, sequence, to: &$0) }
      $0.key("usage")
      AnthropicAnswer.write(usage, to: &$0)
    }
    emit("message_stop") { _ in }
    return take()
  }

  /// Anthropic's error object as the last event.
  package mutating func fail(_ error: APIError) -> [APIEvent] {
    [APIEvent(name: "error", data: error.anthropicBody)]
  }

  private mutating func render(_ step: AnswerDelta.ToolCallDelta) {
    enter(.toolUse(step.index)) {
      $0.key("type")
      $0.string("tool_use")
      $0.key("id")
      $0.string(step.id ?? "")
      $0.key("name")
      $0.string(step.name ?? "")
      $0.key("input")
      $0.object { _ in }
    }
    if !step.arguments.isEmpty { emitDelta("input_json_delta", "partial_json", step.arguments) }
  }

  // MARK: Blocks

  private mutating func enter(_ block: Block, _ members: (inout JSONWriter) -> Void) {
    if open == block { return }
    close()
    open = block
    emitBlock("content_block_start") {
      $0.key("content_block")
      $0.object(members)
    }
  }

  private mutating func close() {
    guard let block = open else { return }
    if block == .thinking { emitDelta("signature_delta", "signature", AnthropicAnswer.signature) }
    emitBlock("content_block_stop") { _ in }
    open = nil
    index += 1
  }

  private mutating func emitDelta(
    _ type: StaticString, _ member: StaticString, _ text: String
  ) {
    emitBlock("content_block_delta") {
      $0.key("delta")
      $0.object {
        $0.key("type")
        $0.string("\(type)")
        $0.key(member)
        $0.string(text)
      }
    }
  }

  private mutating func emitBlock(_ type: String, _ members: (inout JSONWriter) -> Void) {
    let index = index
    emit(type) {
      $0.key("index")
      $0.integer(index)
      members(&$0)
    }
  }

  private mutating func emit(_ type: String, _ members: (inout JSONWriter) -> Void) {
    var writer = JSONWriter(capacity: 192)
    writer.object {
      $0.key("type")
      $0.string(type)
      members(&$0)
    }
    events.append(APIEvent(name: type, data: writer.bytes))
  }

  private mutating func take() -> [APIEvent] {
    defer { events = [] }
    return events
  }
}
