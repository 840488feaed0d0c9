import BloomAPI
import BloomBase
import BloomWire
import Testing

/// OpenAI's older requests: places of errors, what is sealed, and mutants.
@Suite struct RequestTests {
  private func chat(_ members: String) throws(APIError) -> InferenceRequest {
    try ChatRequest.parse(bytes(#"{"model":"m",\#(members)}"#))
  }

  @Test(arguments: [
    (#""messages":[{"role":"user"}]"#, "messages[0].content"),
    (#""messages":[{"role":"robot","content":"a"}]"#, "messages[0].role"),
    (#""messages":[{"role":"user","content":[{"type":"image_url"}]}]"#, "messages[0].content[0]"),
    (#""messages":[{"role":"tool","content":"a"}]"#, "messages[0].tool_call_id"),
    (#""messages":[{"role":"assistant"}]"#, "messages[0].content"),
    (
      #""messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"#
        + #""name":"f","arguments":{}}}]}]"#,
      "messages[0].tool_calls[0].function.arguments"
    ),
    (#""messages":[]"#, "messages"),
    (#""messages":[{"role":"user","content":"a"}],"stop":"" "#, "stop"),
    (#""messages":[{"role":"user","content":"a"}],"stop":["a",""]"#, "stop[1]"),
    (#""messages":[{"role":"user","content":"a"}],"top_logprobs":1"#, "top_logprobs"),
    (
      #""messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}]"#,
      "tools[0].function"
    ),
    (
      #""messages":[{"role":"user","content":"a"}],"tool_choice":{"type":"function","#
        + #""function":{"name":"f"}}"#,
      "tool_choice"
    ),
    (
      #""messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","#
        + #""json_schema":{"name":"n"}}"#,
      "response_format.json_schema.schema"
    ),
  ])
  func `errors name their place`(_ members: String, _ place: String) {
    let error = refusal(#"{"model":"m",\#(members)}"#) { bytes throws(APIError) in
      try ChatRequest.parse(bytes)
    }
    #expect(error?.parameter == place)
    #expect(error?.status == 400)
  }

  @Test func `what is sealed has no transport parameters`() throws {
    let request = try chat(
      #""messages":[{"role":"developer","content":"a"}],"stream":true,"user":"u","seed":5,"#
        + #""stream_options":{"include_usage":true},"n":2,"max_completion_tokens":7,"#
        + #""prompt_cache_key":"k","temperature":1e0"#)
    #expect(
      text(request.body.encoded)
        == #"{"messages":[{"role":"system","content":"a"}],"temperature":1e0,"max_tokens":7,"#
        + #""n":2}"#)
    #expect(request.isStreaming && request.includesUsage)
    #expect(request.choices == 2)
    #expect(request.maxTokens == 7)
    #expect(request.seed == 5)
    #expect(request.cacheKey == "k")
  }

  @Test func `requests and steps do not print their content`() throws {
    let request = try chat(#""messages":[{"role":"user","content":"hush"}]"#)
    let delta = AnswerDelta(content: "hush")
    for printed in ["\(request)", "\([request])", "\(delta)", String(reflecting: delta)] {
      #expect(!printed.contains("hush"))
    }
    var dumped = ""
    dump(request, to: &dumped)
    #expect(!dumped.contains("hush"))
  }

  @Test func `a prompt is one text or tokens, and repeats only as text`() throws {
    for prompt in [#""a""#, "[1,2]", #"["a"]"#, "[[1,2]]"] {
      _ = try CompletionRequest.parse(bytes(#"{"model":"m","prompt":\#(prompt)}"#))
    }
    for (body, parameter) in [
      (#"{"model":"m","prompt":["a","b"]}"#, "prompt"),
      (#"{"model":"m","prompt":[1],"echo":true}"#, "echo"),
      (#"{"model":"m","prompt":"a","echo":true,"logprobs":1}"#, "echo"),
      (#"{"model":"m","prompt":[-1]}"#, "prompt[0]"),
    ] {
      let error = refusal(body) { bytes throws(APIError) in try CompletionRequest.parse(bytes) }
      #expect(error?.parameter == parameter)
    }
    let echoed = try CompletionRequest.parse(bytes(#"{"model":"m","prompt":"a","echo":true}"#))
    #expect(echoed.echo == "a")
    #expect(echoed.request.maxTokens == 16)
  }

  @Test(arguments: [
    (401, "authentication_error"), (404, "not_found_error"), (413, "request_too_large"),
    (429, "rate_limit_error"), (503, "overloaded_error"), (500, "api_error"),
  ])
  func `Anthropic's kinds of errors follow the status`(_ status: Int, _ kind: String) throws {
    let error = APIError(status: status, type: "t", code: "c", parameter: "p", message: "a \"b\"")
    #expect(try parsed(error.anthropicBody)["error"]?["type"] == .string(kind))
    #expect(
      text(error.openAIBody)
        == #"{"error":{"message":"a \"b\"","type":"t","param":"p","code":"c"}}"#)
    #expect(text(error.ollamaBody) == #"{"error":"a \"b\""}"#)
    #expect(error.publicDescription == "a \"b\"")
  }

  /// What a fuzzer does, in the normal suite: mutants are refused with a 400 or read, and what is
  /// read is JSON that reads again to the same.
  @Test(arguments: Endpoint.allCases)
  func `mutants are read or refused`(_ endpoint: Endpoint) throws {
    var generator = SeededGenerator(seed: 9)
    let words = [
      "\"", "{", "}", "[", "]", ",", ":", "null", "true", "1e400", "-0", "\\u0000", "\\ud800",
      #""messages":"#, #""content":[{"type":"text","text":"a"}]"#, "\u{ff}",
      "999999999999999999999",
    ]
    let seed = Array(
      adding(
        #""stream":true,"tools":[{"type":"function","name":"f","input_schema":{},"function":{"#
          + #""name":"f","parameters":{}}}],"temperature":0.5,"options":{"stop":["x"]}"#,
        to: endpoint.smallest
      ).utf8)
    for _ in 0..<1_500 {
      var mutant = seed
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: 0..<mutant.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: mutant.remove(at: place)
        case 1: mutant[place] = UInt8.random(in: 0...255, using: &generator)
        case 2:
          let end = min(mutant.count, place + Int.random(in: 1...40, using: &generator))
          mutant.insert(contentsOf: mutant[place..<end], at: place)
        default:
          mutant.insert(
            contentsOf: words.randomElement(using: &generator)?.utf8 ?? "".utf8, at: place)
        }
      }
      do throws(APIError) {
        guard let request = try endpoint.read(mutant) else { continue }
        #expect((try? JSONValue(decoding: request.body.encoded)) == request.body)
        #expect((1...APILimits.embeddingInputs).contains(request.choices))
      } catch {
        #expect(error.status == 400)
        #expect(error.message.utf8.count < 400)
      }
    }
  }
}
