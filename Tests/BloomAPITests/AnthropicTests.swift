import BloomAPI
import BloomWire
import Testing

/// Anthropic's Messages: translation and the grammar of events.
@Suite struct AnthropicTests {
  private func read(_ members: String) throws(APIError) -> InferenceRequest {
    try AnthropicRequest.parse(bytes(#"{"model":"m","max_tokens":9,\#(members)}"#)).request
  }

  private func refused(_ members: String) -> APIError? {
    refusal(#"{"model":"m","max_tokens":9,\#(members)}"#) { bytes throws(APIError) in
      try AnthropicRequest.parse(bytes)
    }
  }

  private let hi = #""messages":[{"role":"user","content":"hi"}]"#

  @Test func `system, stops and limits become chat's and no thinking is asked for`() throws {
    let request = try read(
      hi + #","system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"#
        + #""stop_sequences":["x"],"temperature":0.5,"top_k":3"#)
    #expect(request.maxTokens == 9)
    #expect(
      text(request.body.encoded)
        == #"{"messages":[{"role":"system","content":[{"type":"text","text":"s"}]},"#
        + #"{"role":"user","content":"hi"}],"max_tokens":9,"temperature":0.5,"top_k":3,"#
        + #""stop":["x"],"reasoning_effort":"none"}"#)
  }

  @Test func `blocks become messages, calls and results`() throws {
    let request = try read(
      """
      "messages":[{"role":"user","content":"a"},
      {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
      {"type":"text","text":"b"},{"type":"tool_use","id":"t0","name":"f","input":{"x":1}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t0","is_error":true},
      {"type":"text","text":"c"}]}]
      """)
    #expect(
      request.body["messages"]?.items?.map { text($0.encoded) } == [
        #"{"role":"user","content":"a"}"#,
        #"{"role":"assistant","content":[{"type":"text","text":"b"}],"reasoning_content":"hm","#
          + #""tool_calls":[{"id":"t0","type":"function","#
          + #""function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
        #"{"role":"tool","content":"The tool failed.","tool_call_id":"t0"}"#,
        #"{"role":"user","content":[{"type":"text","text":"c"}]}"#,
      ])
  }

  @Test(
    arguments: [
      (#"{"type":"any"}"#, #""required""#), (#"{"type":"none"}"#, #""none""#),
      (#"{"type":"tool","name":"f"}"#, #"{"type":"function","function":{"name":"f"}}"#),
    ])
  func `the choice of a tool`(_ choice: String, _ wanted: String) throws {
    let tools = #""tools":[{"name":"f","input_schema":{"type":"object"}}]"#
    let request = try read("\(hi),\(tools),\"tool_choice\":\(choice)")
    #expect(request.body["tool_choice"].map { text($0.encoded) } == wanted)
  }

  @Test func `thinking has its budget and efforts have their words`() throws {
    let thinking = try AnthropicRequest.parse(
      bytes(
        #"{"model":"m","max_tokens":9,\#(hi),"thinking":{"type":"enabled","budget_tokens":8}}"#))
    #expect(thinking.showsThinking)
    #expect(thinking.request.body["reasoning_tokens"]?.integer == 8)
    let effort = try read(hi + #","thinking":{"type":"adaptive"},"output_config":{"effort":"max"}"#)
    #expect(effort.body["reasoning_effort"] == .string("max"))
    #expect(
      refused(hi + #","thinking":{"type":"enabled","budget_tokens":9}"#)?.parameter
        == "thinking.budget_tokens")
  }

  @Test(arguments: [
    (#""messages":[{"role":"system","content":"x"}]"#, "messages[0].role"),
    (#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#, "messages"),
    (#""messages":[{"role":"user","content":[{"type":"image"}]}]"#, "messages[0].content[0]"),
    (#""messages":[{"role":"user","content":"a"}],"temperature":1.5"#, "temperature"),
    (
      #""messages":[{"role":"user","content":"a"}],"tools":[{"type":"bash_20250124","name":"bash"}]"#,
      "tools[0].type"
    ),
    (
      #""messages":[{"role":"user","content":"a"}],"tools":[{"name":"f"}]"#,
      "tools[0].input_schema"
    ),
  ])
  func `what is not offered is refused by place`(_ members: String, _ place: String) {
    #expect(refused(members)?.parameter == place)
  }

  // MARK: Events

  private let deltas = [
    AnswerDelta(reasoning: "hm"), AnswerDelta(content: "a"),
    AnswerDelta(toolCalls: [.init(index: 0, id: "t0", name: "f")]),
    AnswerDelta(
      toolCalls: [.init(index: 0, arguments: #"{"x":1}"#)], finishReason: .toolCalls),
  ]

  @Test func `blocks follow each other and the end has the usage`() {
    let usage = AnswerUsage(promptTokens: 5, cachedTokens: 4, completionTokens: 3)
    let lines = events(AnthropicStream(header: header, showsThinking: true), deltas, usage)
    #expect(
      lines == [
        #"message_start {"type":"message_start","message":{"id":"msg_00ff","type":"message","#
          + #""role":"assistant","model":"m","content":[],"stop_reason":null,"#
          + #""stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"#
          + #""cache_read_input_tokens":0,"output_tokens":0}}}"#,
        #"ping {"type":"ping"}"#,
        start(0, #"{"type":"thinking","thinking":"","signature":""}"#),
        delta(0, #"{"type":"thinking_delta","thinking":"hm"}"#),
        delta(0, #"{"type":"signature_delta","signature":"unsigned"}"#), stop(0),
        start(1, #"{"type":"text","text":""}"#), delta(1, #"{"type":"text_delta","text":"a"}"#),
        stop(1), start(2, #"{"type":"tool_use","id":"t0","name":"f","input":{}}"#),
        delta(2, #"{"type":"input_json_delta","partial_json":"{\"x\":1}"}"#), stop(2),
        #"message_delta {"type":"message_delta","delta":{"stop_reason":"tool_use","#
          + #""stop_sequence":null},"usage":{"input_tokens":1,"cache_creation_input_tokens":0,"#
          + #""cache_read_input_tokens":4,"output_tokens":3}}"#,
        #"message_stop {"type":"message_stop"}"#,
      ])
  }

  private func start(_ index: Int, _ block: String) -> String {
    #"content_block_start {"type":"content_block_start","index":\#(index),"#
      + #""content_block":\#(block)}"#
  }
  private func delta(_ index: Int, _ delta: String) -> String {
    #"content_block_delta {"type":"content_block_delta","index":\#(index),"delta":\#(delta)}"#
  }
  private func stop(_ index: Int) -> String {
    #"content_block_stop {"type":"content_block_stop","index":\#(index)}"#
  }

  @Test func `thinking that nobody asked for is left out`() throws {
    let lines = events(AnthropicStream(header: header, showsThinking: false), deltas)
    #expect(!lines.contains { $0.contains("thinking") })
    var collector = AnswerCollector(choices: 1)
    for delta in deltas { collector.add(delta) }
    for (shows, kinds) in [
      (true, ["thinking", "text", "tool_use"]), (false, ["text", "tool_use"]),
    ] {
      let body = try parsed(
        AnthropicAnswer.body(
          header: header, choice: collector.choices[0], usage: AnswerUsage(),
          showsThinking: shows))
      #expect(body["content"]?.items?.map { $0["type"]?.string } == kinds)
      #expect(body["content"]?.items?.last?["input"]?["x"]?.integer == 1)
      #expect(body["stop_reason"] == .string("tool_use"))
    }
  }

  @Test func `a stop sequence is named`() throws {
    let (message, _) = try AnthropicRequest.parse(
      Array(
        (#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"}],"#
          + #""stop_sequences":["x","END"]}"#).utf8))
    #expect(message.stops == ["x", "END"])
    for (place, reason, sequence) in [
      (1, "stop_sequence", JSONValue.string("END")), (nil, "end_turn", .null),
      // A machine that names what nobody asked for.
      (2, "end_turn", .null),
    ] {
      let delta = AnswerDelta(content: "a", finishReason: .stop, stop: place)
      var collector = AnswerCollector(choices: 1)
      collector.add(delta)
      let body = try parsed(
        AnthropicAnswer.body(
          header: header, choice: collector.choices[0], usage: AnswerUsage(),
          showsThinking: false, stops: message.stops))
      #expect(body["stop_reason"] == .string(reason))
      #expect(body["stop_sequence"] == sequence)
      let lines = events(
        AnthropicStream(header: header, showsThinking: false, stops: message.stops), [delta])
      let end = try #require(lines.first { $0.hasPrefix("message_delta") })
      #expect(end.contains(#""stop_reason":"\#(reason)""#))
    }
  }

  @Test func `errors have Anthropic's shape`() throws {
    var stream = AnthropicStream(header: header, showsThinking: false)
    let events = stream.fail(
      APIError(status: 503, type: "server_error", code: nil, message: "no"))
    #expect(
      events.map(line) == [
        #"error {"type":"error","error":{"type":"overloaded_error","message":"no"}}"#
      ])
  }
}
