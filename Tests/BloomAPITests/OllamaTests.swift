import BloomAPI
import BloomWire
import Testing

/// Ollama's endpoints: translation and lines.
@Suite struct OllamaTests {
  private func chat(_ members: String) throws -> InferenceRequest? {
    let body = #"{"model":"m","messages":[{"role":"user","content":"hi"}]\#(members)}"#
    guard case .answer(let request, _) = try OllamaRequest.parseChat(bytes(body)) else {
      return nil
    }
    return request
  }

  @Test func `options become parameters and a stream is the rule`() throws {
    let request = try #require(
      try chat(#","options":{"num_predict":9,"seed":4,"stop":["x"],"num_ctx":9}"#))
    #expect(request.isStreaming)
    #expect(request.maxTokens == 9)
    #expect(request.seed == 4)
    #expect(
      text(request.body.encoded)
        == #"{"messages":[{"role":"user","content":"hi"}],"stop":["x"],"max_tokens":9}"#)
    #expect(try chat(#","options":{"num_predict":-1}"#)?.maxTokens == nil)
    #expect(try chat(#","stream":false"#)?.isStreaming == false)
  }

  @Test(arguments: [
    (#""repeat_penalty":0"#, "options.repeat_penalty"), (#""stop":"" "#, "options.stop"),
    (#""stop":["a",""]"#, "options.stop[1]"),
    (#""stop":["\#(String(repeating: "a", count: 257))"]"#, "options.stop[0]"),
  ])
  func `what machines would refuse is refused here`(_ option: String, _ place: String) {
    let body = #"{"model":"m","messages":[{"role":"user","content":"hi"}],"options":{\#(option)}}"#
    let error = refusal(body) { bytes throws(APIError) in try OllamaRequest.parseChat(bytes) }
    #expect(error?.parameter == place)
  }

  @Test func `formats and thinking`() throws {
    #expect(
      try chat(#","format":{"type":"object"}"#)?.body["response_format"]?["json_schema"]?["schema"]
        == .members(["type": .string("object")]))
    #expect(try chat(#","format":"""#)?.body["response_format"] == nil)
    #expect(try chat(#","think":false"#)?.body["reasoning_effort"] == .string("none"))
    #expect(try chat(#","think":"high""#)?.body["reasoning_effort"] == .string("high"))
  }

  @Test func `calls get ids and results find theirs`() throws {
    let body = """
      {"model":"m","messages":[{"role":"user","content":"a"},
      {"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}},
      {"function":{"name":"g"}}]},
      {"role":"tool","tool_name":"g","content":"2"},{"role":"tool","content":"1"}]}
      """
    guard case .answer(let request, _) = try OllamaRequest.parseChat(bytes(body)) else {
      Issue.record("no answer")
      return
    }
    let messages = request.body["messages"]?.items ?? []
    #expect(
      messages[1]["tool_calls"]?.items?.map { $0["id"]?.string } == ["call_0", "call_1"])
    #expect(messages.suffix(2).map { $0["tool_call_id"]?.string } == ["call_1", "call_0"])
    let orphan = refusal(
      #"{"model":"m","messages":[{"role":"tool","content":"1"}]}"#
    ) { bytes throws(APIError) in try OllamaRequest.parseChat(bytes) }
    #expect(orphan?.parameter == "messages[0]")
  }

  @Test func `raw prompts are completions and empty ones load the model`() throws {
    let raw = try OllamaRequest.parseGenerate(bytes(#"{"model":"m","prompt":"p","raw":true}"#))
    guard case .answer(let request, _) = raw else {
      Issue.record("no answer")
      return
    }
    #expect(request.kind == .completion)
    for load in [
      try OllamaRequest.parseGenerate(bytes(#"{"model":"m"}"#)),
      try OllamaRequest.parseChat(bytes(#"{"model":"m","messages":[]}"#)),
    ] {
      guard case .load(let model) = load else {
        Issue.record("not a load")
        continue
      }
      #expect(model == "m")
    }
  }

  private let head = #"{"model":"m","created_at":"2023-11-14T22:13:20Z","#

  @Test func `text comes in lines and calls come whole`() {
    let lines = events(
      OllamaStream(header: header, endpoint: .chat, showsThinking: true),
      [
        AnswerDelta(reasoning: "hm"), AnswerDelta(content: "a"),
        AnswerDelta(toolCalls: [.init(index: 0, id: "c", name: "f", arguments: #"{"x""#)]),
        AnswerDelta(toolCalls: [.init(index: 0, arguments: ":1}")], finishReason: .toolCalls),
      ])
    #expect(
      lines == [
        head + #""message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
        head + #""message":{"role":"assistant","content":"a"},"done":false}"#,
        head + #""message":{"role":"assistant","content":"","tool_calls":"#
          + #"[{"function":{"name":"f","arguments":{"x":1}}}]},"done":false}"#,
        head + #""message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","#
          + #""prompt_eval_count":5,"eval_count":3}"#,
      ])
  }

  @Test func `generated text is in response`() {
    let lines = events(
      OllamaStream(header: header, endpoint: .generate, showsThinking: false),
      [AnswerDelta(reasoning: "hm"), AnswerDelta(content: "a", finishReason: .length)])
    #expect(
      lines == [
        head + #""response":"a","done":false}"#,
        head + #""response":"","done":true,"done_reason":"length","prompt_eval_count":5,"#
          + #""eval_count":3}"#,
      ])
  }

  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00Z"), (951_782_399, "2000-02-28T23:59:59Z"),
      (951_782_400, "2000-02-29T00:00:00Z"), (1_709_164_800, "2024-02-29T00:00:00Z"),
      (1_735_689_599, "2024-12-31T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
      (-5, "1970-01-01T00:00:00Z"),
    ] as [(Int64, String)])
  func `times are RFC 3339`(_ seconds: Int64, _ wanted: String) throws {
    let header = AnswerHeader(id: "", created: seconds, model: "m")
    let stream = OllamaStream(header: header, endpoint: .chat, showsThinking: false)
    #expect(try parsed(stream.loaded())["created_at"] == .string(wanted))
  }
}
