import BloomAPI
import BloomBase
import BloomClient
import BloomGateway
import BloomHTTP
import BloomNet
import BloomWire
import Testing

/// An organisation's own gateway: keys, their limits, and what stays the owner's.
@Suite struct AccessKeysTests {
  private static let chat = GatewayTests.chat

  private func key(_ name: String, _ limits: KeyLimits = KeyLimits()) -> AccessKey {
    AccessKey(name: ShortName(name), token: "t-\(name)", limits: limits)
  }

  private func bearer(_ name: String) -> [(HTTPFieldName, HTTPFieldValue)] {
    [(.authorization, (try? HTTPFieldValue("Bearer t-\(name)")) ?? "-")]
  }

  @Test func `a key sees and asks its models only`() async throws {
    let keys = AccessKeys(
      [key("ann", KeyLimits(models: ["org/chat"])), key("bob", KeyLimits(models: []))],
      time: FixedTime())
    let service = ScriptedService(.steps(says("a")))
    try await withGateway(service, access: LocalAccess(keys: keys)) { client in
      let list = try await client.get("/v1/models", headers: bearer("ann"))
      #expect(list.json?["data"]?.items?.map { $0["id"]?.string } == ["org/chat"])
      #expect(try await client.get("/v1/models/embed", headers: bearer("ann")).status == 404)
      #expect(
        try await client.post("/v1/chat/completions", Self.chat, headers: bearer("ann")).status
          == 200)
      for (path, body) in [
        ("/v1/chat/completions", Self.chat), ("/api/chat", Self.chat),
        ("/v1/messages", GatewayTests.message),
        ("/v1/embeddings", #"{"model":"embed","input":"a"}"#),
        ("/v1/messages/count_tokens", #"{"model":"m","messages":[{"role":"user","content":"a"}]}"#),
      ] {
        let refused = try await client.post(path, body, headers: bearer("bob"))
        #expect(refused.status == 403, "\(path)")
      }
    }
    #expect(service.requests.count == 1, "nothing is sealed for a model that is not the key's")
  }

  @Test func `tokens of a day are counted and come back at midnight`() async throws {
    let time = SettableTime()
    time.advance(seconds: 86_400 * 3 + 86_000)
    let ann = key("ann", KeyLimits(tokensPerDay: 9))
    let keys = AccessKeys([ann, key("bob")], time: time)
    try await withGateway(
      ScriptedService(.steps(says("a", "b"))), access: LocalAccess(keys: keys)
    ) { client in
      let first = try await client.post(
        "/v1/chat/completions", Self.chat, headers: bearer("ann"))
      #expect(first.status == 200)
      // Two pieces of text and the end, a token each, and a prompt of five.
      #expect(keys.usage.of(ann.digest).tokens == 8)
      _ = try await client.post("/v1/chat/completions", Self.chat, headers: bearer("ann"))
      let refused = try await client.post(
        "/v1/chat/completions", Self.chat, headers: bearer("ann"))
      #expect(refused.status == 429)
      #expect(refused.json?["error"]?["code"] == .string("insufficient_quota"))
      #expect(refused.headers["retry-after"] == "400")
      #expect(
        try await client.post("/v1/chat/completions", Self.chat, headers: bearer("bob")).status
          == 200)
    }
    #expect(KeyUsage(decoding: keys.usage.encoded) == keys.usage)
    time.advance(seconds: 400)
    #expect(keys.refusal(ann, model: "org/chat") == nil)
    #expect(keys.usage.isEmpty)
  }

  @Test func `money of a day is counted by what the network booked`() {
    let time = SettableTime()
    let ann = key("ann", KeyLimits(spendPerDay: Micros(100)))
    let keys = AccessKeys([ann], time: time)
    keys.began("answer-1", for: ann)
    keys.booked(Micros(60), answer: "answer-1")
    keys.booked(Micros(1000), answer: "nobody's")
    #expect(keys.refusal(ann, model: "m") == nil)
    keys.booked(Micros(40), answer: "answer-1")
    #expect(keys.refusal(ann, model: "m") == .quota(retryAfterSeconds: 86_400))
    let again = AccessKeys([ann], usage: keys.usage, time: time)
    #expect(again.refusal(ann, model: "m") != nil, "a restart forgets nothing")
  }

  @Test func `a key that was taken back is unknown, and the others keep what they used`() {
    let (ann, bob) = (key("ann", KeyLimits(requestsPerMinute: 1)), key("bob"))
    let keys = AccessKeys([ann, bob], time: FixedTime())
    #expect(keys.admit("t-ann") == .allowed(ann))
    keys.replace([ann])
    #expect(keys.admit("t-bob") == .unknown)
    #expect(keys.admit("t-ann") == .limited(retryAfterSeconds: 60))
  }

  @Test func `the list of keys holds no token and reads back`() throws {
    var book = KeyBook()
    let limits = KeyLimits(
      requestsPerMinute: 5, tokensPerDay: 6, spendPerDay: Micros(7), models: ["a", "b"])
    try book.add(key("ann", limits), at: UnixTime(9))
    try book.add(key("bob"), at: UnixTime(10))
    #expect(try KeyBook(decoding: book.encoded) == book)
    #expect(!String(decoding: book.encoded, as: UTF8.self).contains("t-ann"))
    #expect(throws: UsageError.self) { try book.add(key("ann"), at: UnixTime(11)) }
    #expect(throws: UsageError("there is no key bbo, did you mean bob?")) {
      try book.revoke("bbo")
    }
    try book.revoke("ann")
    #expect(book.keys.map(\.name?.text) == ["bob"])
    for damaged in [
      "", "{}", #"{"version":1}"#, #"{"version":2,"keys":[]}"#, #"{"version":1,"keys":[{}]}"#,
    ] {
      #expect(throws: ConfigurationError.self) { try KeyBook(decoding: Array(damaged.utf8)) }
    }
  }

  @Test func `what the coordinator was shown is for the owner alone`() async throws {
    let tap = WireTap(time: FixedTime())
    tap.note(.refusal(reason: "busy"))
    let own = AccessKey(name: nil, token: "t-own")
    let keys = AccessKeys([own, key("ann")], time: FixedTime())
    try await withGateway(
      ScriptedService(.steps([])), access: LocalAccess(keys: keys), tap: tap
    ) { client in
      let path = "/darkbloom/wiretap"
      #expect(try await client.get(path).status == 401)
      #expect(try await client.get(path, headers: bearer("ann")).status == 403)
      let seen = try await client.get(path, headers: bearer("own"))
      #expect(seen.json?.items?.first?["reason"] == .string("busy"))
      #expect(
        try await client.get(path + "?after=1", headers: bearer("own")).json?.items == [])
    }
  }

  @Test func `only the newest events are remembered, and their numbers tell`() {
    let tap = WireTap(time: FixedTime())
    for _ in 0..<WireTap.limit + 5 { tap.note(.directory(byteCount: 1)) }
    let events = tap.events(after: 0)
    #expect(events.count <= WireTap.limit)
    #expect(events.last?.number == WireTap.limit + 5)
    #expect(tap.events(after: WireTap.limit + 4).count == 1)
  }
}
