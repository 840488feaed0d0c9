import BloomAPI
import BloomBase
import BloomClient
import BloomGateway
import BloomHTTP
import BloomNet
import BloomWire
import Testing

/// The gateway's endpoints over a scripted service.
@Suite struct GatewayTests {
  static let chat = #"{"model":"org/chat","messages":[{"role":"user","content":"hi"}]}"#
  static let chatStream =
    #"{"model":"org/chat","messages":[{"role":"user","content":"hi"}],"stream":true}"#
  static let message =
    #"{"model":"org/chat","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#

  @Test func `a whole chat tells where it came from`() async throws {
    let service = ScriptedService(.steps(says("Hel", "lo")))
    let answer = try await withGateway(service) {
      try await $0.post("/v1/chat/completions", Self.chat)
    }
    #expect(answer.status == 200)
    let choice = answer.json?["choices"]?.items?.first
    #expect(choice?["message"]?["content"] == .string("Hello"))
    #expect(choice?["finish_reason"] == .string("stop"))
    #expect(answer.json?["usage"]?["total_tokens"]?.integer == 8)
    #expect(answer.headers["x-darkbloom-answer"] == "00ff")
    #expect(answer.headers["x-darkbloom-tier"] == "confidential")
    #expect(answer.headers["x-darkbloom-parts"] == "2")
    #expect(answer.headers["x-darkbloom-node"]?.count == 64)
    #expect(answer.headers["x-darkbloom-placement"] == "0303 chosen wait=0")
    #expect(service.requests.map(\.model) == ["org/chat"])
  }

  @Test func `a stream ends with done`() async throws {
    let service = ScriptedService(.steps(says("a", "b")))
    let answer = try await withGateway(service) {
      try await $0.post("/v1/chat/completions", Self.chatStream)
    }
    #expect(answer.headers["content-type"] == "text/event-stream")
    #expect(answer.lines.count == 5)
    #expect(answer.lines.last == "data: [DONE]")
    #expect(answer.lines[1].contains(#""content":"a""#))
    // What is only known at the end comes as a comment that clients pass over.
    #expect(answer.comments.count == 1)
    #expect(answer.comments[0].hasPrefix("x-darkbloom node=0303"))
    #expect(answer.comments[0].hasSuffix("tier=confidential parts=2"))
    #expect(answer.headers["x-darkbloom-receipt"] == "00ff")
  }

  @Test func `every dialect streams the same answer`() async throws {
    try await withGateway(ScriptedService(.steps(says("a")))) { client in
      let responses = try await client.post(
        "/v1/responses", #"{"model":"org/chat","input":"hi","stream":true}"#)
      #expect(responses.lines.first == "event: response.created")
      #expect(responses.lines.last?.hasPrefix(#"data: {"type":"response.completed""#) == true)
      let messages = try await client.post(
        "/v1/messages", Self.message.dropLast() + #","stream":true}"#)
      #expect(messages.lines.first == "event: message_start")
      #expect(messages.lines.last == #"data: {"type":"message_stop"}"#)
      let ollama = try await client.post("/api/chat", Self.chat)
      #expect(ollama.headers["content-type"] == "application/x-ndjson")
      #expect(ollama.lines.count == 2)
      #expect(ollama.lines.last?.contains(#""done":true"#) == true)
      let text = try await client.post(
        "/v1/completions", #"{"model":"org/chat","prompt":"p","stream":true,"echo":true}"#)
      #expect(text.lines.first?.contains(#""text":"p""#) == true)
      #expect(text.lines.last == "data: [DONE]")
    }
  }

  @Test func `every dialect gives the same whole answer`() async throws {
    try await withGateway(ScriptedService(.steps(says("a")))) { client in
      let responses = try await client.post("/v1/responses", #"{"model":"org/chat","input":"hi"}"#)
      #expect(
        responses.json?["output"]?.items?.first?["content"]?.items?.first?["text"] == .string("a"))
      let messages = try await client.post("/v1/messages", Self.message)
      #expect(messages.json?["content"]?.items?.first?["text"] == .string("a"))
      #expect(messages.json?["usage"]?["input_tokens"]?.integer == 5)
      let generated = try await client.post(
        "/api/generate", #"{"model":"org/chat","prompt":"p","stream":false}"#)
      #expect(generated.json?["response"] == .string("a"))
      #expect(generated.json?["eval_count"]?.integer == 3)
      let loaded = try await client.post("/api/generate", #"{"model":"org/chat"}"#)
      #expect(loaded.json?["done_reason"] == .string("load"))
      let unknown = try await client.post("/api/generate", #"{"model":"none"}"#)
      #expect(unknown.status == 404)
    }
  }

  @Test func `embeddings come back in the order of their inputs`() async throws {
    let steps: [AnswerOutput] = [
      .embedding(index: 1, vector: [2]), .embedding(index: 0, vector: [1]),
      .finished(Usage(promptTokens: 2, completionTokens: 0)),
    ]
    try await withGateway(ScriptedService(.steps(steps))) { client in
      let both = try await client.post("/v1/embeddings", #"{"model":"embed","input":["a","b"]}"#)
      #expect(
        both.json?["data"]?.items?.map { $0["embedding"]?.items?.first?.double } == [1, 2])
      let three = try await client.post(
        "/v1/embeddings", #"{"model":"embed","input":["a","b","c"]}"#)
      #expect(three.status == 502)
      #expect(three.json?["error"]?["code"] == .string("incomplete"))
    }
  }

  @Test func `embeddings are shortened to the dimensions asked for`() async throws {
    let steps: [AnswerOutput] = [
      .embedding(index: 0, vector: [3, 4, 12]),
      .finished(Usage(promptTokens: 1, completionTokens: 0)),
    ]
    try await withGateway(ScriptedService(.steps(steps))) { client in
      let short = try await client.post(
        "/v1/embeddings", #"{"model":"embed","input":"a","dimensions":2}"#)
      let numbers = short.json?["data"]?.items?.first?["embedding"]?.items?.map(\.double)
      #expect(numbers == [0.6, 0.8])
      let long = try await client.post(
        "/v1/embeddings", #"{"model":"embed","input":"a","dimensions":4}"#)
      #expect(long.status == 400)
      #expect(long.json?["error"]?["param"] == .string("dimensions"))
    }
  }

  @Test func `tool calls, reasoning and log-probabilities pass`() async throws {
    let candidate = TokenLogprob.Candidate(token: 7, bytes: [0x68, 0x69], logprob: -0.5)
    let steps: [AnswerOutput] = [
      .tokens(TokenFrame(tokens: [1], deltas: [.reasoning("hm")])),
      .tokens(
        TokenFrame(
          tokens: [7], deltas: [.content("hi")],
          logprobs: [TokenLogprob(sampled: candidate, top: [candidate])])),
      .tokens(
        TokenFrame(
          tokens: [3], deltas: [.toolCall(index: 0, id: "c", name: "f", arguments: "{}")],
          finish: .toolCalls)),
      .finished(Usage(promptTokens: 1, completionTokens: 3, reasoningTokens: 1)),
    ]
    let answer = try await withGateway(ScriptedService(.steps(steps))) {
      try await $0.post("/v1/chat/completions", Self.chat)
    }
    let choice = try #require(answer.json?["choices"]?.items?.first)
    #expect(choice["message"]?["reasoning_content"] == .string("hm"))
    #expect(choice["message"]?["tool_calls"]?.items?.first?["id"] == .string("c"))
    #expect(choice["finish_reason"] == .string("tool_calls"))
    let logprob = choice["logprobs"]?["content"]?.items?.first
    #expect(logprob?["token"] == .string("hi"))
    #expect(logprob?["logprob"]?.double == -0.5)
    #expect(
      logprob?["top_logprobs"]?.items?.first?["bytes"]?.items?.map(\.integer) == [0x68, 0x69])
  }

  @Test func `models are listed and found by names with slashes`() async throws {
    try await withGateway(ScriptedService(.steps([]))) { client in
      let list = try await client.get("/v1/models")
      #expect(list.json?["data"]?.items?.map { $0["id"]?.string } == ["org/chat", "embed"])
      #expect(try await client.get("/v1/models/org/chat").json?["id"] == .string("org/chat"))
      #expect(try await client.get("/v1/models/org%2Fchat").json?["id"] == .string("org/chat"))
      let missing = try await client.get("/v1/models/none")
      #expect(missing.status == 404)
      #expect(missing.json?["error"]?["code"] == .string("model_not_found"))
      let tags = try await client.get("/api/tags")
      #expect(tags.json?["models"]?.items?.map { $0["name"]?.string } == ["org/chat", "embed"])
      #expect(try await client.get("/api/version").json?["version"]?.string != nil)
      let lost = try await client.get("/v2/nothing")
      #expect(lost.status == 404)
      #expect(lost.json?["error"]?["code"] == .string("unknown_url"))
    }
  }

  // MARK: Errors

  static let failures: [(AnswerFailure, SealedError?, Int, String)] = [
    (.noCandidates, nil, 503, "no_machine"), (.tooManyParts, nil, 503, "retries_spent"),
    (.timedOut, nil, 504, "timeout"), (.refused(code: "no_credit"), nil, 402, "insufficient_quota"),
    (.refused(code: "rate_limited"), nil, 429, "rate_limit_exceeded"),
    (.refused(code: "too_large"), nil, 413, "request_too_large"),
    (
      .refused(code: "x"), SealedError(code: .contextTooLong, message: "too long"), 400,
      "context_length_exceeded"
    ),
    (.refused(code: "x"), SealedError(code: .engine, message: "broke"), 500, "engine_failed"),
  ]

  @Test(arguments: GatewayTests.failures)
  func `an answer that cannot be given is an HTTP error`(
    _ failure: AnswerFailure, _ sealed: SealedError?, _ status: Int, _ code: String
  ) async throws {
    try await withGateway(ScriptedService(.steps([.failed(failure, sealed)]))) { client in
      for body in [Self.chat, Self.chatStream] {
        let answer = try await client.post("/v1/chat/completions", body)
        #expect(answer.status == status)
        #expect(answer.json?["error"]?["code"] == .string(code))
        #expect((answer.headers["retry-after"] != nil) == (status == 503 || status == 429))
      }
      let anthropic = try await client.post("/v1/messages", Self.message)
      #expect(anthropic.status == status)
      #expect(anthropic.json?["type"] == .string("error"))
      #expect(try await client.post("/api/chat", Self.chat).json?["error"]?.string != nil)
    }
  }

  @Test func `an answer that cannot go on ends with an error event`() async throws {
    let steps = Array(says("a").prefix(1)) + [.failed(.tooManyParts, nil)]
    try await withGateway(ScriptedService(.steps(steps))) { client in
      let chat = try await client.post("/v1/chat/completions", Self.chatStream)
      #expect(chat.status == 200)
      #expect(chat.lines.last?.contains(#""code":"retries_spent""#) == true)
      #expect(!chat.text.contains("[DONE]"))
      let responses = try await client.post(
        "/v1/responses", #"{"model":"org/chat","input":"hi","stream":true}"#)
      #expect(responses.lines.suffix(2).first == "event: response.failed")
      let messages = try await client.post(
        "/v1/messages", Self.message.dropLast() + #","stream":true}"#)
      #expect(messages.lines.suffix(2).first == "event: error")
      let ollama = try await client.post("/api/chat", Self.chat)
      #expect(ollama.lines.last?.hasPrefix(#"{"error":"#) == true)
      let whole = try await client.post("/v1/chat/completions", Self.chat)
      #expect(whole.status == 503)
    }
  }

  @Test func `a stream without its last step is cut, not ended`() async throws {
    let steps = Array(says("a").prefix(1))
    try await withGateway(ScriptedService(.steps(steps))) { client in
      _ = await #expect(throws: (any Error).self) {
        _ = try await client.post("/v1/chat/completions", Self.chatStream)
      }
    }
  }

  @Test func `nothing is sealed for a request that is wrong`() async throws {
    let service = ScriptedService(.steps([]))
    try await withGateway(service) { client async throws in
      for path in [
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses",
        "/v1/messages", "/v1/messages/count_tokens", "/api/chat", "/api/generate",
      ] {
        for body in ["", "{}", "[1]", #"{"model":7}"#, #"{"model":"m","colour":"red"}"#] {
          #expect(try await client.post(path, body).status == 400, "\(path) \(body)")
        }
      }
    }
    #expect(service.requests.isEmpty)
  }

  @Test func `tokens are counted by a sealed job that answers nothing`() async throws {
    let service = ScriptedService(
      .steps([.finished(Usage(promptTokens: 12, completionTokens: 0))]))
    try await withGateway(service) { client in
      let count = try await client.post(
        "/v1/messages/count_tokens",
        #"{"model":"m","system":"s","messages":[{"role":"user","content":"hi"}]}"#)
      #expect(count.status == 200)
      #expect(count.text == #"{"input_tokens":12}"#)
    }
    let request = try #require(service.requests.first)
    #expect(request.kind == .count)
    #expect(request.body["messages"]?.items?.count == 2)
    let failing = ScriptedService(.steps([.failed(.noCandidates, nil)]))
    let refused = try await withGateway(failing) {
      try await $0.post(
        "/v1/messages/count_tokens", #"{"model":"m","messages":[{"role":"user","content":"a"}]}"#)
    }
    #expect(refused.status == 503)
    #expect(refused.json?["error"]?["type"] == .string("overloaded_error"))
  }

  @Test func `errors before the seal keep their status and time to wait`() async throws {
    let error = APIError(
      status: 404, type: "invalid_request_error", code: "model_not_found", parameter: "model",
      message: "no such model", retryAfterSeconds: 7)
    let answer = try await withGateway(ScriptedService(.throwsError(error))) {
      try await $0.post("/v1/chat/completions", Self.chat)
    }
    #expect(answer.status == 404)
    #expect(answer.headers["retry-after"] == "7")
    #expect(answer.json?["error"]?["param"] == .string("model"))
  }

  // MARK: Leaving, health, metrics

  @Test func `the machine is told when the program leaves`() async throws {
    let service = ScriptedService(.hangs(after: Array(says("a").prefix(1))))
    let metrics = MetricsRegistry()
    try await withGateway(service, metrics: metrics) { client in
      let request = try ClientRequest.post(
        "http://localhost/v1/chat/completions", Array(Self.chatStream.utf8))
      let reading = Task { try await client.answer(request) }
      #expect(try await eventually { !service.requests.isEmpty })
      reading.cancel()
      _ = await reading.result
      #expect(try await eventually { service.left == 1 })
    }
    #expect(metrics.prometheusText.contains("darkbloom_gateway_answers_running 0"))
    #expect(
      metrics.prometheusText.contains(#"darkbloom_gateway_answers_total{end="left"} 1"#))
  }

  @Test func `a gateway without models is alive and not ready`() async throws {
    try await withGateway(ScriptedService(.steps([]), models: [])) { client async throws in
      #expect(try await client.get("/livez").status == 200)
      #expect(try await client.get("/readyz").status == 503)
      #expect(try await client.get("/health").json?["status"] == .string("no_models"))
    }
    try await withGateway(ScriptedService(.steps([]))) { client async throws in
      #expect(try await client.get("/health").json?["models"]?.integer == 2)
    }
  }

  @Test func `metrics count answers and tokens and hold nothing of users`() async throws {
    try await withGateway(ScriptedService(.steps(says("hush")))) { client in
      for body in [Self.chat, Self.chatStream] {
        _ = try await client.post("/v1/chat/completions", body)
      }
      let metrics = try await client.get("/metrics")
      #expect(metrics.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
      for line in [
        #"darkbloom_gateway_answers_total{end="finished"} 2"#,
        "darkbloom_gateway_completion_tokens_total 6", "darkbloom_gateway_answers_running 0",
        "darkbloom_gateway_first_step_seconds_count 2",
      ] {
        #expect(metrics.lines.contains(line), "\(line)")
      }
      #expect(!metrics.text.contains("hush") && !metrics.text.contains("org/chat"))
    }
  }
}
