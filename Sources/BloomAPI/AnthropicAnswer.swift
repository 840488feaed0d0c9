internal import BloomWire

/// The message object of `POST /v1/messages`.
package enum AnthropicAnswer: Sendable {
  /// Reasoning of open models is not signed; clients drop blocks whose signature is empty.
  static let signature = "unsigned"

  /// Writes the answer of a client that did not ask for a stream.
  ///
  /// Reasoning is left out unless thinking was asked for.
  package static func body(
    header: AnswerHeader, choice: AnswerCollector.Choice, usage: AnswerUsage, showsThinking: Bool,
    stops: [String] = []
  ) -> [UInt8] {
    var content: [JSONValue] = []
    if showsThinking, !choice.reasoning.isEmpty {
      content.append(
        .members([
          "type": .string("thinking"), "thinking": .string(choice.reasoning),
          "signature": .string(signature),
        ]))
    }
    if !choice.content.isEmpty {
      content.append(.members(["type": .string("text"), "text": .string(choice.content)]))
    }
    for call in choice.toolCalls {
      // A call that the token limit cut is no JSON: nobody could run it.
      guard let input = arguments(call.arguments) else { continue }
      content.append(
        .members([
          "type": .string("tool_use"), "id": .string(call.id), "name": .string(call.name),
          "input": input,
        ]))
    }
    var writer = JSONWriter(capacity: 1024)
    writeMessage(
      header, content: content, stopReason: choice.finishReason ?? .stop,
      stopSequence: stopSequence(choice.stop, of: stops), usage: usage, to: &writer)
    return writer.bytes
  }

  /// Arguments as an object; a function without parameters may have been called with none.
  static func arguments(_ text: String) -> JSONValue? {
    if text.isEmpty { return .object([]) }
    guard let value = try? JSONValue(decoding: Array(text.utf8)) else { return nil }  // cut short
    return value.members == nil ? nil : value
  }

  static func writeMessage(
    _ header: AnswerHeader, content: [JSONValue], stopReason: FinishReason?, stopSequence: String?,
    usage: AnswerUsage, to writer: inout JSONWriter
  ) {
    writer.object {
      $0.key("id")
      $0.string("msg_\(header.id)")
      $0.key("type")
      $0.string("message")
      $0.key("role")
      $0.string("assistant")
      $0.key("model")
      $0.string(header.model)
      $0.key("content")
      $0.array { list in for block in content { list.value(block) } }
      write(stopReason, stopSequence, to: &$0)
      $0.key("usage")
      write(usage, to: &$0)
    }
  }

  /// The stop text at a place that a machine named; `nil` for one that nobody asked for.
  static func stopSequence(_ place: Int?, of stops: [String]) -> String? {
    place.flatMap { stops.indices.contains($0) ? stops[$0] : nil }
  }

  /// `stop_reason` and `stop_sequence`.
  static func write(
    _ reason: FinishReason?, _ stopSequence: String?, to writer: inout JSONWriter
  ) {
    writer.key("stop_reason")
    switch reason {
    case .stop: writer.string(stopSequence == nil ? "end_turn" : "stop_sequence")
    case .length: writer.string("max_tokens")
    case .toolCalls: writer.string("tool_use")
    case nil: writer.null()
    }
    writer.key("stop_sequence")
    if let stopSequence { writer.string(stopSequence) } else { writer.null() }
  }

  /// Anthropic counts tokens that a cache spared apart from the others.
  static func write(_ usage: AnswerUsage, to writer: inout JSONWriter) {
    writer.object {
      $0.key("input_tokens")
      $0.integer(usage.promptTokens - min(usage.promptTokens, usage.cachedTokens))
      $0.key("cache_creation_input_tokens")
      $0.integer(0)
      $0.key("cache_read_input_tokens")
      $0.integer(usage.cachedTokens)
      $0.key("output_tokens")
      $0.integer(usage.completionTokens)
    }
  }
}
