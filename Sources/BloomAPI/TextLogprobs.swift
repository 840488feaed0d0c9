internal import BloomWire

/// Which log-probabilities belong to an answer's visible text, as Responses tells them.
///
/// Tokens of reasoning and of tool calls are none of the text's. A step that shows nothing, such as
/// a part of a character or the token of the end, belongs to what is shown next; when nothing
/// follows, to the text before it.
struct TextLogprobs: Sendable {
  private var waiting: [JSONValue] = []
  /// Whether nothing but text was shown last.
  private var followsText = true

  /// What belongs to the text of a step; nothing when it has none.
  mutating func take(_ delta: AnswerDelta) -> [JSONValue] {
    let hasText = !(delta.content ?? "").isEmpty
    let hasOther = !(delta.reasoning ?? "").isEmpty || !delta.toolCalls.isEmpty
    guard hasText || hasOther else {
      waiting += delta.logprobs
      return []
    }
    let own = hasText ? waiting + delta.logprobs : []
    waiting = []
    // Calls come after the text of their step, reasoning before it.
    followsText = hasText && delta.toolCalls.isEmpty
    return own
  }

  /// At the answer's end, what belongs to the text that was shown last.
  var rest: [JSONValue] { followsText ? waiting : [] }
}
