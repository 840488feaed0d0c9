package import BloomWire

/// One step of an answer in the dialect-neutral form that every dialect renders.
///
/// Carries user content: it does not print.
package struct AnswerDelta: Sendable {
  /// Index of the choice, 0 up.
  package var choice: Int
  /// New visible text.
  package var content: String?
  /// New hidden reasoning.
  package var reasoning: String?
  /// Steps of tool calls: OpenAI's delta objects, each with `index`.
  package var toolCalls: [ToolCallDelta]
  /// OpenAI's log-probability objects of the new tokens.
  package var logprobs: [JSONValue]
  /// The end of the choice.
  package var finishReason: FinishReason?
  /// The place in the request's list of the stop text that ended the choice.
  package var stop: Int?

  /// One step of one tool call.
  package struct ToolCallDelta: Sendable, Hashable {
    /// Index of the call within the choice.
    package var index: Int
    /// The call's id, in its first step only.
    package var id: String?
    /// The function's name, in its first step only.
    package var name: String?
    /// More of the arguments' text.
    package var arguments: String

    /// Creates a step.
    package init(index: Int, id: String? = nil, name: String? = nil, arguments: String = "") {
      self.index = index
      self.id = id
      self.name = name
      self.arguments = arguments
    }
  }

  /// Creates a step.
  package init(
    choice: Int = 0, content: String? = nil, reasoning: String? = nil,
    toolCalls: [ToolCallDelta] = [], logprobs: [JSONValue] = [], finishReason: FinishReason? = nil,
    stop: Int? = nil
  ) {
    self.choice = choice
    self.content = content
    self.reasoning = reasoning
    self.toolCalls = toolCalls
    self.logprobs = logprobs
    self.finishReason = finishReason
    self.stop = stop
  }
}

extension AnswerDelta: CustomStringConvertible, CustomReflectable {
  /// Never the content.
  package var description: String { "AnswerDelta(choice \(choice))" }
  /// Nothing to reflect.
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why a choice ended, in OpenAI's words.
package enum FinishReason: String, Sendable, Hashable {
  /// The model ended, or a stop string came.
  case stop
  /// The token limit or the context's end.
  case length
  /// The model called tools.
  case toolCalls = "tool_calls"
}

/// What an answer used, summed over its parts.
package struct AnswerUsage: Sendable, Hashable {
  /// Tokens of the prompt, counted once.
  package var promptTokens: Int
  /// Prompt tokens that a warm cache spared.
  package var cachedTokens: Int
  /// Delivered tokens of all choices, hidden reasoning included.
  package var completionTokens: Int
  /// Delivered tokens of hidden reasoning.
  package var reasoningTokens: Int

  /// Creates a sum.
  package init(
    promptTokens: Int = 0, cachedTokens: Int = 0, completionTokens: Int = 0,
    reasoningTokens: Int = 0
  ) {
    self.promptTokens = promptTokens
    self.cachedTokens = cachedTokens
    self.completionTokens = completionTokens
    self.reasoningTokens = reasoningTokens
  }

  /// Prompt and completion together.
  package var totalTokens: Int { promptTokens + completionTokens }

  func writeOpenAI(_ writer: inout JSONWriter) {
    writer.object {
      $0.key("prompt_tokens")
      $0.integer(promptTokens)
      $0.key("completion_tokens")
      $0.integer(completionTokens)
      $0.key("total_tokens")
      $0.integer(totalTokens)
      $0.key("prompt_tokens_details")
      $0.object {
        $0.key("cached_tokens")
        $0.integer(cachedTokens)
      }
      $0.key("completion_tokens_details")
      $0.object {
        $0.key("reasoning_tokens")
        $0.integer(reasoningTokens)
      }
    }
  }
}

/// What every dialect prints about an answer.
package struct AnswerHeader: Sendable, Hashable {
  /// The answer's id without a dialect's prefix: 32 hexadecimal digits.
  package let id: String
  /// Seconds since 1970.
  package let created: Int64
  /// The model's name.
  package let model: String

  /// Creates a header.
  package init(id: String, created: Int64, model: String) {
    self.id = id
    self.created = created
    self.model = model
  }
}

/// One server-sent event.
package struct APIEvent: Sendable, Hashable {
  /// The `event:` line; `nil` for none.
  package let name: String?
  /// The `data:` line, one line of text.
  package let data: [UInt8]

  /// Creates an event.
  package init(name: String? = nil, data: [UInt8]) {
    self.name = name
    self.data = data
  }

  /// OpenAI's end of a stream.
  package static let done = APIEvent(data: Array("[DONE]".utf8))
}

/// Turns an answer's steps into the events of one dialect.
package protocol StreamRenderer: Sendable {
  /// Events before the first step.
  mutating func begin() -> [APIEvent]
  /// Events of one step.
  mutating func render(_ delta: AnswerDelta) -> [APIEvent]
  /// Events after the last step.
  mutating func end(usage: AnswerUsage) -> [APIEvent]
  /// Events that end a stream which cannot go on.
  mutating func fail(_ error: APIError) -> [APIEvent]
  /// A sign of life while nothing new is there; `nil` where a comment does.
  var idle: APIEvent? { get }
}

extension StreamRenderer {
  /// A comment, which every reader of server-sent events passes over.
  package var idle: APIEvent? { nil }
}
