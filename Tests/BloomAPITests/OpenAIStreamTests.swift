import BloomAPI
import BloomWire
import Testing

/// Golden events of OpenAI's older endpoints, and their whole objects.
@Suite struct OpenAIStreamTests {
  private let head =
    #"{"id":"chatcmpl-00ff","object":"chat.completion.chunk","created":1700000000,"model":"m","#
  private let textHead =
    #"{"id":"cmpl-00ff","object":"text_completion","created":1700000000,"model":"m","#
  private let usage =
    #""usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,"#
    + #""prompt_tokens_details":{"cached_tokens":0},"#
    + #""completion_tokens_details":{"reasoning_tokens":0}}}"#

  private func chunk(_ delta: String, _ reason: String = "null", choice: Int = 0) -> String {
    head + #""choices":[{"index":\#(choice),"delta":{\#(delta)},"logprobs":null,"#
      + #""finish_reason":\#(reason)}]}"#
  }

  @Test func `a chat is role, text, end, done`() {
    let lines = events(
      ChatStream(header: header, choices: 1, includesUsage: false),
      [AnswerDelta(content: "Hi"), AnswerDelta(content: "!", finishReason: .stop)])
    #expect(
      lines == [
        chunk(#""role":"assistant","content":"""#), chunk(#""content":"Hi""#),
        chunk(#""content":"!""#), chunk("", #""stop""#), "[DONE]",
      ])
  }

  @Test func `usage comes in a chunk of its own when it is asked for`() throws {
    let lines = events(
      ChatStream(header: header, choices: 1, includesUsage: true),
      [AnswerDelta(content: "Hi", finishReason: .length)])
    #expect(lines.suffix(2) == [head + #""choices":[],"# + usage, "[DONE]"])
    for line in lines.dropLast(2) { #expect(line.hasSuffix(#","usage":null}"#)) }
  }

  @Test func `every choice has its role and its end`() {
    let lines = events(
      ChatStream(header: header, choices: 2, includesUsage: false),
      [
        AnswerDelta(choice: 1, content: "b", finishReason: .stop),
        AnswerDelta(choice: 0, content: "a", finishReason: .length),
      ])
    #expect(
      lines == [
        chunk(#""role":"assistant","content":"""#),
        chunk(#""role":"assistant","content":"""#, choice: 1),
        chunk(#""content":"b""#, choice: 1), chunk("", #""stop""#, choice: 1),
        chunk(#""content":"a""#), chunk("", #""length""#), "[DONE]",
      ])
  }

  @Test func `reasoning and parallel calls`() {
    let lines = events(
      ChatStream(header: header, choices: 1, includesUsage: false),
      [
        AnswerDelta(reasoning: "hm"),
        AnswerDelta(toolCalls: [.init(index: 0, id: "c0", name: "f")]),
        AnswerDelta(toolCalls: [
          .init(index: 0, arguments: "{}"), .init(index: 1, id: "c1", name: "g"),
        ]),
        AnswerDelta(finishReason: .toolCalls),
      ])
    let call =
      #"{"index":0,"id":"c0","type":"function","function":{"name":"f","arguments":""}}"#
    let second =
      #"{"index":1,"id":"c1","type":"function","function":{"name":"g","arguments":""}}"#
    #expect(
      lines.dropFirst() == [
        chunk(#""reasoning_content":"hm""#), chunk(#""tool_calls":[\#(call)]"#),
        chunk(#""tool_calls":[{"index":0,"function":{"arguments":"{}"}},\#(second)]"#),
        chunk("", #""tool_calls""#), "[DONE]",
      ])
  }

  @Test func `a text completion has no opening chunk unless the prompt is repeated`() {
    let deltas = [AnswerDelta(content: "b"), AnswerDelta(finishReason: .stop)]
    func text(_ text: String, _ reason: String = "null") -> String {
      textHead + #""choices":[{"index":0,"text":"\#(text)","logprobs":null,"#
        + #""finish_reason":\#(reason)}]}"#
    }
    let plain = events(
      CompletionStream(header: header, choices: 1, includesUsage: false), deltas)
    #expect(plain == [text("b"), text("", #""stop""#), "[DONE]"])
    let repeated = events(
      CompletionStream(header: header, choices: 1, includesUsage: false, echo: "a"), deltas)
    #expect(repeated == [text("a")] + plain)
  }

  @Test func `a stream that cannot go on ends with the error object`() throws {
    let error = APIError(status: 503, type: "server_error", code: "retries_spent", message: "no")
    let wanted =
      #"{"error":{"message":"no","type":"server_error","param":null,"code":"retries_spent"}}"#
    var chat = ChatStream(header: header, choices: 1, includesUsage: true)
    #expect(chat.fail(error).map(line) == [wanted])
    var completion = CompletionStream(header: header, choices: 1, includesUsage: true)
    #expect(completion.fail(error).map(line) == [wanted])
  }

  @Test func `a whole chat is what its stream says`() throws {
    var collector = AnswerCollector(choices: 1)
    for delta in [
      AnswerDelta(reasoning: "h"), AnswerDelta(reasoning: "m"),
      AnswerDelta(toolCalls: [.init(index: 1, id: "c1", name: "g", arguments: "{")]),
      AnswerDelta(toolCalls: [.init(index: 0, id: "c0", name: "f", arguments: "{}")]),
      AnswerDelta(toolCalls: [.init(index: 1, arguments: "}")], finishReason: .toolCalls),
      AnswerDelta(choice: 7, content: "of no choice"),
      AnswerDelta(toolCalls: [.init(index: -1), .init(index: 1 << 40)]),
    ] { collector.add(delta) }
    let body = try parsed(
      ChatAnswer.body(header: header, choices: collector.choices, usage: AnswerUsage()))
    let choice = try #require(body["choices"]?.items?.first)
    let message = try #require(choice["message"])
    #expect(choice["finish_reason"] == .string("tool_calls"))
    #expect(message["content"] == .null)
    #expect(message["reasoning_content"] == .string("hm"))
    let calls = message["tool_calls"]?.items ?? []
    #expect(calls.map { $0["id"] } == [.string("c0"), .string("c1")])
    #expect(calls.map { $0["function"]?["arguments"] } == [.string("{}"), .string("{}")])
  }

  @Test func `chat models are listed first, each group by name`() throws {
    func entry(_ name: String, _ isChat: Bool) -> ModelList.Entry {
      .init(name: name, isChat: isChat, created: 1, owner: "darkbloom")
    }
    let list = try parsed(
      ModelList.body([entry("a", false), entry("z", true), entry("b", true)]))
    #expect(list["data"]?.items?.map { $0["id"] } == ["b", "z", "a"].map { .string($0) })
  }

  @Test func `embeddings in Base64 are little-endian floats`() throws {
    let body = try parsed(
      EmbeddingsAnswer.body(
        model: "m", vectors: [[1, -2.5]], promptTokens: 2, encoding: .base64))
    #expect(body["data"]?.items?.first?["embedding"] == .string("AACAPwAAIMA="))
    let plain = try parsed(
      EmbeddingsAnswer.body(
        model: "m", vectors: [[1, .nan]], promptTokens: 2, encoding: .float))
    #expect(plain["data"]?.items?.first?["embedding"]?.items?.map(\.double) == [1, 0])
  }
}
