import BloomAPI
import BloomBase
import BloomClient
import BloomGateway
import BloomHTTP
import BloomNet
import BloomWire
import Testing

/// Streams that are slow to begin, or silent for long.
@Suite struct StreamLifeTests {
  private static let bodies: [(path: String, body: String, sign: String)] = [
    ("/v1/chat/completions", GatewayTests.chatStream, ": the answer is on its way"),
    (
      "/v1/completions", #"{"model":"org/chat","prompt":"p","stream":true}"#,
      ": the answer is on its way"
    ),
    (
      "/v1/responses", #"{"model":"org/chat","input":"hi","stream":true}"#,
      ": the answer is on its way"
    ),
    ("/v1/messages", GatewayTests.message.dropLast() + #","stream":true}"#, "event: ping"),
    ("/api/chat", GatewayTests.chat, #""content":""},"done":false"#),
    ("/api/generate", #"{"model":"org/chat","prompt":"p"}"#, #""response":"","done":false"#),
  ]

  @Test(arguments: StreamLifeTests.bodies)
  func `a silent stream shows life and ends as if it had not`(
    _ path: String, _ body: String, _ sign: String
  ) async throws {
    // The first step comes only after several signs of life would be due.
    let service = ScriptedService(.slow(.milliseconds(60), says("a", "b")))
    let slow = try await withGateway(service, keepAlive: .milliseconds(10)) {
      try await $0.post(path, body)
    }
    let quick = try await withGateway(ScriptedService(.steps(says("a", "b")))) {
      try await $0.post(path, body)
    }
    #expect(slow.status == 200)
    func signs(_ answer: Answer) -> Int {
      answer.text.split(separator: "\n").filter { $0.contains(sign) }.count
    }
    #expect(signs(slow) > signs(quick))
    func content(_ answer: Answer) -> [String] {
      answer.lines.filter {
        !$0.contains(sign) && $0 != #"data: {"type":"ping"}"# && !$0.hasPrefix(":")
      }
    }
    #expect(content(slow) == content(quick))
  }

  @Test func `an error of an answer that was late is an event`() async throws {
    let steps: [AnswerOutput] = [.failed(.noCandidates, nil)]
    let service = ScriptedService(.slow(.milliseconds(100), steps))
    try await withGateway(service, keepAlive: .milliseconds(10)) { client in
      let chat = try await client.post("/v1/chat/completions", GatewayTests.chatStream)
      #expect(chat.status == 200)
      #expect(chat.lines.last?.contains(#""code":"no_machine""#) == true)
      #expect(!chat.text.contains("[DONE]"))
    }
    try await withGateway(service, keepAlive: nil) { client in
      let chat = try await client.post("/v1/chat/completions", GatewayTests.chatStream)
      #expect(chat.status == 503, "without signs of life the status waits for the first step")
    }
  }

  @Test func `a program that leaves before the first step is noticed`() async throws {
    for keepAlive in [nil, Duration.milliseconds(20), .seconds(60)] {
      let service = ScriptedService(.hangs(after: []))
      try await withGateway(service, keepAlive: keepAlive) { client in
        let request = try ClientRequest.post(
          "http://localhost/v1/chat/completions", Array(GatewayTests.chatStream.utf8))
        let reading = Task { try await client.answer(request) }
        #expect(try await eventually { !service.requests.isEmpty })
        reading.cancel()
        _ = await reading.result
        #expect(try await eventually { service.left == 1 })
      }
    }
  }
}
