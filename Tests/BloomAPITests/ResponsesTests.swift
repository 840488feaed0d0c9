import BloomAPI
import BloomWire
import Testing

/// OpenAI's Responses: translation and the grammar of events.
@Suite struct ResponsesTests {
  private func messages(_ input: String) throws -> [String] {
    let body = #"{"model":"m","instructions":"be brief","input":\#(input)}"#
    let request = try ResponsesRequest.parse(bytes(body)).request
    return (request.body["messages"]?.items ?? []).dropFirst().map { text($0.encoded) }
  }

  @Test func `instructions come first and a text is one message`() throws {
    let request = try ResponsesRequest.parse(
      bytes(#"{"model":"m","instructions":"be brief","input":"hi"}"#)
    ).request
    #expect(
      text(request.body.encoded)
        == #"{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]}"#)
  }

  @Test func `the items of one turn are one message`() throws {
    let turn = try messages(
      """
      [{"role":"user","content":[{"type":"input_text","text":"a"}]},
       {"type":"reasoning","id":"rs","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
       {"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]},
       {"type":"function_call","call_id":"c0","name":"f","arguments":"{}"},
       {"type":"function_call","call_id":"c1","name":"g","arguments":"{}"},
       {"type":"function_call_output","call_id":"c0","output":"1"},
       {"role":"assistant","content":"c"},{"role":"assistant","content":"d"}]
      """)
    #expect(
      turn == [
        #"{"role":"user","content":[{"type":"text","text":"a"}]}"#,
        #"{"role":"assistant","content":[{"type":"text","text":"b"}],"reasoning_content":"hm","#
          + #""tool_calls":[{"id":"c0","type":"function","function":{"name":"f","arguments":"{}"}},"#
          + #"{"id":"c1","type":"function","function":{"name":"g","arguments":"{}"}}]}"#,
        #"{"role":"tool","content":"1","tool_call_id":"c0"}"#,
        #"{"role":"assistant","content":"c"}"#, #"{"role":"assistant","content":"d"}"#,
      ])
  }

  @Test(arguments: [
    (#"[{"type":"item_reference","id":"x"}]"#, "input[0]"),
    (#"[{"type":"web_search_call"}]"#, "input[0].type"),
    (#"[{"role":"user","content":[{"type":"input_image"}]}]"#, "input[0].content[0]"),
    (#"[{"role":"tool","content":"x"}]"#, "input[0].role"),
    (#"[{"role":"user"}]"#, "input[0].content"), ("[]", "input"), ("[1]", "input[0]"),
    (#"[{"type":"function_call","call_id":"c","name":"no good","arguments":""}]"#, "input[0].name"),
  ])
  func `other items are refused by place`(_ input: String, _ place: String) {
    let error = refusal(#"{"model":"m","input":\#(input)}"#) { bytes throws(APIError) in
      try ResponsesRequest.parse(bytes)
    }
    #expect(error?.parameter == place)
  }

  @Test func `flat tools, formats and limits become chat's`() throws {
    let body = """
      {"model":"m","input":"hi","max_output_tokens":9,"tool_choice":{"type":"function","name":"f"},
      "tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true}],
      "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}},
      "reasoning":{"effort":"low"},"include":["message.output_text.logprobs"]}
      """
    let request = try ResponsesRequest.parse(bytes(body)).request
    #expect(request.maxTokens == 9)
    #expect(
      text(request.body.encoded)
        == #"{"messages":[{"role":"user","content":"hi"}],"max_tokens":9,"#
        + #""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"#
        + #""tool_choice":{"type":"function","function":{"name":"f"}},"#
        + #""response_format":{"type":"json_schema","json_schema":{"name":"n","#
        + #""schema":{"type":"object"}}},"reasoning_effort":"low","logprobs":true,"#
        + #""top_logprobs":0}"#)
    let error = refusal(
      #"{"model":"m","input":"hi","tools":[{"type":"web_search"}]}"#
    ) { bytes throws(APIError) in try ResponsesRequest.parse(bytes) }
    #expect(error?.parameter == "tools[0].type")
  }

  // MARK: Events

  private func stream(_ extra: String = "") throws -> ResponsesStream {
    let body = #"{"model":"m","input":"hi"\#(extra)}"#
    return ResponsesStream(
      header: header, echo: try ResponsesRequest.parse(bytes(body)).echo)
  }

  /// The names of events; a check that their numbers count up and their types agree.
  private func names(_ lines: [String]) throws -> [String] {
    try lines.enumerated().map { index, line in
      let parts = line.split(separator: " ", maxSplits: 1)
      let data = try parsed(bytes(String(parts[1])))
      #expect(data["sequence_number"]?.integer == Int64(index))
      #expect(data["type"]?.string == String(parts[0]))
      return String(parts[0].dropFirst("response.".count))
    }
  }

  @Test func `reasoning, text and calls are items one after the other`() throws {
    let lines = events(
      try stream(),
      [
        AnswerDelta(reasoning: "h"), AnswerDelta(reasoning: "m"), AnswerDelta(content: "a"),
        AnswerDelta(content: "b"),
        AnswerDelta(toolCalls: [.init(index: 0, id: "c0", name: "f")]),
        AnswerDelta(toolCalls: [.init(index: 0, arguments: "{}")]),
        AnswerDelta(
          toolCalls: [.init(index: 1, id: "c1", name: "g", arguments: "{}")],
          finishReason: .toolCalls),
      ])
    #expect(
      try names(lines) == [
        "created", "in_progress", "output_item.added", "content_part.added",
        "reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done",
        "content_part.done", "output_item.done", "output_item.added", "content_part.added",
        "output_text.delta", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done", "output_item.added", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done", "output_item.added",
        "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
      ])
    #expect(
      lines[11]
        == #"response.output_text.delta {"type":"response.output_text.delta","#
        + #""sequence_number":11,"item_id":"msg_00ff_1","output_index":1,"content_index":0,"#
        + #""delta":"a","logprobs":[]}"#)
    #expect(
      lines[18]
        == #"response.function_call_arguments.done "#
        + #"{"type":"response.function_call_arguments.done","sequence_number":18,"#
        + #""item_id":"fc_00ff_2","output_index":2,"name":"f","arguments":"{}"}"#)
  }

  @Test func `the last event has the object that a client without a stream gets`() throws {
    let deltas = [
      AnswerDelta(reasoning: "hm"), AnswerDelta(content: "a"),
      AnswerDelta(
        toolCalls: [.init(index: 0, id: "c0", name: "f", arguments: "{}")], finishReason: .length),
    ]
    for extra in ["", #","reasoning":{"summary":"auto"}"#] {
      let lines = events(try stream(extra), deltas)
      let last = try #require(lines.last?.split(separator: " ", maxSplits: 1))
      #expect(last[0] == "response.incomplete")
      var collector = AnswerCollector(choices: 1)
      for delta in deltas { collector.add(delta) }
      let echo = try ResponsesRequest.parse(bytes(#"{"model":"m","input":"hi"\#(extra)}"#)).echo
      let whole = ResponsesAnswer(header: header, echo: echo).body(
        choice: collector.choices[0], usage: AnswerUsage(promptTokens: 5, completionTokens: 3))
      #expect(try parsed(bytes(String(last[1])))["response"] == parsed(whole))
    }
  }

  @Test(arguments: [
    "", "t", "r", "c", ".", "..t", "t.t", "t.", "t..", "r.t.", "rt.c.", ".r.t", "r.", "r.c.",
  ])
  func `log-probabilities of text are the same in a stream and in a whole answer`(
    _ steps: String
  ) throws {
    var deltas: [AnswerDelta] = []
    for (index, step) in steps.enumerated() {
      let own = [JSONValue.members(["token": .string("\(index)")])]
      switch step {
      case "t": deltas.append(AnswerDelta(content: "a", logprobs: own))
      case "r": deltas.append(AnswerDelta(reasoning: "h", logprobs: own))
      case "c":
        deltas.append(
          AnswerDelta(toolCalls: [.init(index: 0, id: "c", name: "f")], logprobs: own))
      default: deltas.append(AnswerDelta(logprobs: own))
      }
    }
    deltas.append(AnswerDelta(finishReason: .stop))
    let lines = events(try stream(), deltas)
    let last = try #require(lines.last?.split(separator: " ", maxSplits: 1))
    var collector = AnswerCollector(choices: 1)
    for delta in deltas { collector.add(delta) }
    let echo = try ResponsesRequest.parse(bytes(#"{"model":"m","input":"hi"}"#)).echo
    let whole = try parsed(
      ResponsesAnswer(header: header, echo: echo).body(
        choice: collector.choices[0], usage: AnswerUsage(promptTokens: 5, completionTokens: 3)))
    #expect(try parsed(bytes(String(last[1])))["response"] == whole)
    let told = (whole["output"]?.items ?? []).flatMap { item -> [String] in
      let part = item["content"]?.items?.first
      return (part?["logprobs"]?.items ?? []).compactMap { $0["token"]?.string }
    }
    let expected: [String] =
      switch steps {
      case ".", "t": ["0"]
      case "..t", "t.t", "t..": ["0", "1", "2"]
      case "t.": ["0", "1"]
      case "r.t.": ["1", "2", "3"]
      case "rt.c.": ["1"]
      case ".r.t": ["2", "3"]
      default: []
      }
    #expect(told == expected)
  }

  @Test func `a summary that is asked for is the reasoning`() throws {
    let lines = events(
      try stream(#","reasoning":{"summary":"auto"}"#),
      [AnswerDelta(reasoning: "hm"), AnswerDelta(content: "a", finishReason: .stop)])
    #expect(
      try names(lines)[2..<8] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
      ])
    #expect(lines[4].contains(#""summary_index":0,"delta":"hm""#))
  }

  @Test func `an empty answer has an empty message`() throws {
    let lines = events(try stream(), [AnswerDelta(finishReason: .stop)])
    #expect(
      try names(lines) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.done",
        "content_part.done", "output_item.done", "completed",
      ])
  }

  @Test func `a failure is an event with the error`() throws {
    var renderer = try stream()
    _ = renderer.begin()
    _ = renderer.render(AnswerDelta(content: "a"))
    let last = renderer.fail(
      APIError(status: 503, type: "server_error", code: "retries_spent", message: "no"))
    #expect(last.map(\.name) == ["response.failed"])
    let response = try parsed(last[0].data)["response"]
    #expect(response?["status"] == .string("failed"))
    #expect(response?["error"]?["code"] == .string("retries_spent"))
  }
}
