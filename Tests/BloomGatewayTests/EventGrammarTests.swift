import BloomAPI
import BloomBase
import BloomClient
import BloomGateway
import BloomHTTP
import BloomNet
import BloomWire
import Testing

/// The order of events of each API as a regular expression over one letter an event: whatever a
/// machine sends, the stream is a word of its language.
@Suite struct EventGrammarTests {
  /// One API: where it is asked, how an event becomes a letter, and its language.
  struct Grammar: Sendable {
    let path: String
    let body: String
    let letter: @Sendable (String) -> Character
    /// Of answers that end; `language` and not `failing` for those that fail.
    let language: String
    let failing: String
  }

  private static func named(_ names: [String: Character]) -> @Sendable (String) -> Character {
    { line in
      line.hasPrefix("event: ") ? names[String(line.dropFirst(7))] ?? "?" : "-"
    }
  }

  static let responses: [String: Character] = [
    "response.created": "c", "response.in_progress": "p", "response.completed": "Z",
    "response.incomplete": "Z", "response.failed": "F", "response.output_item.added": "(",
    "response.output_item.done": ")", "response.content_part.added": "[",
    "response.content_part.done": "]", "response.output_text.delta": "t",
    "response.output_text.done": "T", "response.reasoning_text.delta": "r",
    "response.reasoning_text.done": "R", "response.function_call_arguments.delta": "a",
    "response.function_call_arguments.done": "A",
  ]

  static let messages: [String: Character] = [
    "message_start": "s", "ping": "p", "content_block_start": "(", "content_block_delta": "d",
    "content_block_stop": ")", "message_delta": "m", "message_stop": "Z", "error": "F",
  ]

  private static let ollama: @Sendable (String) -> Character = { line in
    if line.hasPrefix(#"{"error""#) { return "F" }
    return line.contains(#""done":true"#) ? "Z" : "d"
  }

  static let grammars: [Grammar] = [
    Grammar(
      path: "/v1/chat/completions",
      body: GatewayTests.chatStream.dropLast() + #","stream_options":{"include_usage":true}}"#,
      letter: { line in
        if line == "data: [DONE]" { return "Z" }
        if line.contains(#""error":"#) { return "F" }
        if line.contains(#""choices":[]"#) { return "u" }
        if !line.contains(#""finish_reason":null"#) { return "f" }
        return line.contains(#""role":"assistant""#) ? "r" : "d"
      }, language: "^rd*f?uZ$", failing: "^rd*f?F$"),
    Grammar(
      path: "/v1/completions", body: #"{"model":"org/chat","prompt":"p","stream":true}"#,
      letter: { line in
        if line == "data: [DONE]" { return "Z" }
        if line.contains(#""error":"#) { return "F" }
        return line.contains(#""finish_reason":null"#) ? "d" : "f"
      }, language: "^d*f?Z$", failing: "^d*f?F$"),
    Grammar(
      path: "/v1/responses", body: #"{"model":"org/chat","input":"hi","stream":true}"#,
      letter: named(responses),
      language: #"^cp(\((\[t*T\]|(\[)?r+R(\])?|a*A)\))*Z$"#,
      failing: #"^cp(\((\[t*T\]|(\[)?r+R(\])?|a*A)\))*(\(\[?[tra]*)?[TRA\])]*F$"#),
    Grammar(
      path: "/v1/messages",
      body: GatewayTests.message.dropLast()
        + #","stream":true,"thinking":{"type":"adaptive"}}"#,
      letter: named(messages), language: #"^sp(\(d*\))*mZ$"#, failing: #"^sp(\(d*\))*(\(d*)?F$"#),
    Grammar(
      path: "/api/chat", body: GatewayTests.chat, letter: ollama, language: "^d*Z$",
      failing: "^d*F$"),
    Grammar(
      path: "/api/generate", body: #"{"model":"org/chat","prompt":"hi"}"#, letter: ollama,
      language: "^d*Z$", failing: "^d*F$"),
  ]

  /// A random answer: reasoning, text and calls in any order that machines send.
  private static func script(_ seed: UInt64, fails: Bool) -> [AnswerOutput] {
    var random = SeededGenerator(seed: seed)
    var steps: [AnswerOutput] = []
    var call = 0
    for _ in 0..<Int.random(in: 0...6, using: &random) {
      let deltas: [Delta]
      switch Int.random(in: 0...4, using: &random) {
      case 0: deltas = [.reasoning("r")]
      case 1: deltas = [.content("t"), .content("u")]
      case 2: deltas = [.reasoning("r"), .content("t")]
      case 3:
        deltas = [
          .toolCall(index: call, id: "c\(call)", name: "f", arguments: ""),
          .toolCall(index: call, id: nil, name: nil, arguments: "{}"),
        ]
        call += 1
      default: deltas = []  // tokens whose text is not visible yet
      }
      steps.append(.tokens(TokenFrame(tokens: [1], deltas: deltas)))
    }
    if fails { return steps + [.failed(.tooManyParts, nil)] }
    steps.append(.tokens(TokenFrame(tokens: [2], finish: call > 0 ? .toolCalls : .stop)))
    return steps + [.finished(Usage(promptTokens: 5, completionTokens: 3))]
  }

  @Test(arguments: 0..<24)
  func `every stream is a word of its API's language`(_ seed: Int) async throws {
    for fails in [false, true] {
      var steps = Self.script(UInt64(seed), fails: fails)
      // The first step of a failing answer must not be the failure: that is an HTTP error.
      if fails { steps.insert(.tokens(TokenFrame(tokens: [1], deltas: [.content("x")])), at: 0) }
      let service = ScriptedService(.steps(steps))
      try await withGateway(service) { client in
        for grammar in Self.grammars {
          let answer = try await client.post(grammar.path, grammar.body)
          let word = String(answer.lines.map(grammar.letter).filter { $0 != "-" })
          let language = try Regex(fails ? grammar.failing : grammar.language)
          #expect(word.contains(language), "\(grammar.path): \(word)")
        }
      }
    }
  }
}
