package import BloomWire

/// Gathers an answer's steps for a client that did not ask for a stream.
package struct AnswerCollector: Sendable {
  /// One choice as gathered so far.
  package struct Choice: Sendable {
    /// Visible text.
    package var content = ""
    /// Hidden reasoning.
    package var reasoning = ""
    /// Finished tool calls in order.
    package var toolCalls: [ToolCall] = []
    /// OpenAI's log-probability objects, of reasoning as well.
    package var logprobs: [JSONValue] = []
    /// Those of visible text alone; those at its end are still in `held`.
    var textLogprobs: [JSONValue] = []
    var held = TextLogprobs()
    /// The end of the choice.
    package var finishReason: FinishReason?
    /// The place in the request's list of the stop text that ended the choice.
    package var stop: Int?
  }

  /// One tool call.
  package struct ToolCall: Sendable, Hashable {
    /// The call's id.
    package var id: String
    /// The function's name.
    package var name: String
    /// The arguments' JSON text.
    package var arguments: String
  }

  /// The choices by index.
  package private(set) var choices: [Choice]

  /// Creates a collector for `n` choices.
  package init(choices count: Int) { choices = Array(repeating: Choice(), count: count) }

  /// Adds a step; one of an unknown choice is dropped.
  package mutating func add(_ delta: AnswerDelta) {
    guard choices.indices.contains(delta.choice) else { return }
    choices[delta.choice].add(delta)
  }
}

extension AnswerCollector.Choice {
  mutating func add(_ delta: AnswerDelta) {
    content += delta.content ?? ""
    reasoning += delta.reasoning ?? ""
    logprobs += delta.logprobs
    textLogprobs += held.take(delta)
    finishReason = delta.finishReason ?? finishReason
    stop = delta.stop ?? stop
    for step in delta.toolCalls where step.index >= 0 && step.index < 1024 {
      while toolCalls.count <= step.index {
        toolCalls.append(.init(id: "", name: "", arguments: ""))
      }
      if let id = step.id { toolCalls[step.index].id = id }
      if let name = step.name { toolCalls[step.index].name = name }
      toolCalls[step.index].arguments += step.arguments
    }
  }
}
