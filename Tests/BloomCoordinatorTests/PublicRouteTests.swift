import BloomBase
import BloomHTTP
import BloomLedger
import BloomNet
import BloomPlatform
import BloomRecords
import BloomStore
import BloomWire
import Testing

@testable import BloomCoordinator

@Suite(.serialized) struct PublicRouteTests {
  private static func get(_ path: String, _ test: TestCoordinator) async throws -> (Int, [UInt8]) {
    let response = try await test.http.send(
      try ClientRequest.get("http://coordinator\(path)"), timeout: .seconds(10))
    return (response.status.code, try await response.body.collect(upTo: 1 << 20))
  }

  private static func json(_ path: String, _ test: TestCoordinator) async throws -> JSONValue {
    let (status, body) = try await get(path, test)
    #expect(status == 200)
    return try JSONValue(decoding: body)
  }

  // MARK: Description

  @Test func `the description has exactly the routes that are served`() async throws {
    try await withCoordinator([]) { test, _ in
      let document = try await Self.json("/openapi.json", test)
      #expect(document["openapi"]?.string == "3.1.0")
      let described = (document["paths"]?.members ?? []).flatMap { path in
        (path.value.members ?? []).map { "\($0.name.uppercased()) \(path.name)" }
      }
      let served = test.service.router.routes.map {
        "\($0.method.name) \(OpenAPI.template($0.pattern))"
      }
      #expect(Set(described).count == described.count)
      #expect(Set(described).symmetricDifference(served).sorted() == [])
    }
  }

  @Test func `every schema that the description names is there`() throws {
    let document = try JSONValue(decoding: OpenAPI.document)
    let names = Set(
      (document["components"]?["schemas"]?.members ?? []).map { "#/components/schemas/\($0.name)" })
    func references(_ value: JSONValue) -> [String] {
      switch value {
      case .object(let members):
        members.flatMap {
          $0.name == "$ref" ? [$0.value.string ?? ""] : references($0.value)
        }
      case .array(let items): items.flatMap(references)
      default: []
      }
    }
    let used = Set(references(document))
    #expect(!used.isEmpty)
    #expect(used.subtracting(names) == [])
    #expect(names.subtracting(used) == [])
  }

  // MARK: Metrics

  @Test func `the page about metrics names exactly what is exported`() throws {
    let page = try #require(
      PrivateFile.read("docs/metrics.md").map { String(decoding: $0, as: UTF8.self) })
    let documented = Set(
      page.split(separator: "\n").compactMap { line -> String? in
        guard line.hasPrefix("| `darkbloom_") else { return nil }
        return line.split(separator: "`").dropFirst().first.map(String.init)
      })
    let exported = Set(
      CoordinatorMetrics().registry.prometheusText.split(separator: "\n").compactMap { line in
        line.hasPrefix("# TYPE ") ? line.split(separator: " ")[2...3].joined(separator: " ") : nil
      }.map { String($0.split(separator: " ")[0]) })
    #expect(documented.symmetricDifference(exported).sorted() == [])
  }

  @Test func `metrics follow what happens and name nobody`() async throws {
    try await withCoordinator([.answer(tokens: 20)]) { test, nodes in
      #expect(try await test.ask(test.seal(newAnswer(), to: [nodes[0].machine])).isFinished)
      let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
      await #expect(throws: (any Error).self) {
        try await test.ask(sealed, using: test.client(key: "db-wrong"))
      }
      let (status, body) = try await Self.get("/metrics", test)
      let text = String(decoding: body, as: UTF8.self)
      #expect(status == 200)
      for line in [
        "darkbloom_requests_total 1", "darkbloom_requests_refused_total{reason=\"unauthorized\"} 1",
        "darkbloom_requests_ended_total{outcome=\"done\"} 1",
        "darkbloom_nodes{state=\"routable\"} 1",
        "darkbloom_receipts_total{outcome=\"settled\"} 1",
        "darkbloom_tokens_total{kind=\"completion\"} 20", "darkbloom_settled_micros_total 52",
        "darkbloom_first_token_seconds_count 1",
      ] {
        #expect(text.contains(line + "\n"), "\(line)")
      }
      #expect(!text.contains(test.user.rawValue + "\""))
      #expect(!text.contains(nodes[0].machine.node.digest.hex.prefix(8)))
    }
  }

  @Test func `metrics are for this machine unless the operator says otherwise`() async throws {
    try await withCoordinator([]) { test, _ in
      var request = try ClientRequest.get("http://coordinator/metrics")
      request.headers.add("X-Forwarded-For", "203.0.113.5")
      let response = try await test.http.send(request, timeout: .seconds(10))
      #expect(response.status == .forbidden)
    }
  }

  // MARK: Figures

  @Test func `a network of one machine says which model it has and no more`() async throws {
    try await withCoordinator([.answer(tokens: 20)]) { test, nodes in
      #expect(try await test.ask(test.seal(newAnswer(), to: [nodes[0].machine])).isFinished)
      let models = try await Self.json("/v1/models", test)
      let first = try #require(models["data"]?.items?.first)
      #expect(first["id"]?.string == Machine.model.digest.hex)
      #expect(first["available"]?.bool == true)
      #expect(first["price"]?["completion_micros_per_million_tokens"]?.integer == 2_000_000)
      let network = try await Self.json("/v1/network", test)
      #expect(network["routable_machines"] == .null)
      let figures = try #require(network["models"]?.items?.first)
      for name in [
        "routable_machines", "routable_slots", "decode_tokens_per_second",
        "answer_tokens_per_second", "first_token_milliseconds",
      ] {
        #expect(figures[name] == .null, "\(name)")
      }
      let estimate = try await Self.json(
        "/v1/earnings/estimate?model=\(Machine.model.digest.hex)&tokens_per_second=40", test)
      #expect(estimate["gross_micros"]?.string == "unknown")
      #expect(estimate["net_micros"]?.string == "unknown")
      #expect((estimate["unknown_because"]?.items?.count ?? 0) == 3)
    }
  }

  @Test(arguments: [
    ("", 400), ("?model=x", 400), ("?model=x&tokens_per_second=0", 400),
    ("?model=x&tokens_per_second=nan", 400), ("?model=x&tokens_per_second=5", 404),
  ])
  func `an estimate needs a known model and a rate`(query: String, status: Int) async throws {
    try await withCoordinator([]) { test, _ in
      let answer = try await Self.get("/v1/earnings/estimate" + query, test)
      #expect(answer.0 == status)
    }
  }

  // MARK: Acknowledgements

  private static func acknowledge(
    _ answer: AnswerID, part: Int, _ receipt: Digest, _ verdict: String, key: String?,
    _ test: TestCoordinator
  ) async throws -> (Int, String?) {
    let body = JSONValue.members([
      "answer": .string(answer.description), "part": .integer(part),
      "receipt": .string(receipt.hex), "verdict": .string(verdict),
    ])
    var request = try ClientRequest.post("http://coordinator/v1/receipts/ack", body.encoded)
    if let key { request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key)) }
    let response = try await test.http.send(request, timeout: .seconds(10))
    let value = try? JSONValue(decoding: try await response.body.collect(upTo: 4096))
    return (response.status.code, value?["status"]?.string)
  }

  @Test func `a client that agrees changes nothing, one that does not has the share held`()
    async throws
  {
    try await withCoordinator([.answer(tokens: 20)]) { test, nodes in
      let (account, key) = try await test.account("payer", credit: 1_000_000_000)
      let answer = newAnswer()
      let outcome = try await test.ask(
        test.seal(answer, to: [nodes[0].machine]), using: test.client(key: key))
      let receipt = try #require(outcome.receipt).digest
      let earned = test.store.balance(of: test.owner).earned
      #expect(earned > .zero && account != test.owner)
      func ack(_ verdict: String, _ receipt: Digest, _ key: String?) async throws
        -> (Int, String?)
      {
        try await Self.acknowledge(answer, part: 0, receipt, verdict, key: key, test)
      }
      var said = try await ack("ok", receipt, key)
      #expect(said == (200, "agreed"))
      said = try await ack("ok", .zero, key)
      #expect(said == (200, "noted"))
      said = try await ack("ok", receipt, nil)
      #expect(said.0 == 401)
      let other = try await test.account("other", credit: 0).key
      said = try await ack("mismatch", receipt, other)
      #expect(said == (404, "unknown"))
      #expect(test.store.balance(of: test.owner).earned == earned)
      said = try await ack("mismatch", receipt, key)
      #expect(said == (200, "held"))
      #expect(test.store.balance(of: test.owner).earned == .zero)
      #expect(test.store.balance(of: test.owner).held == earned)
      // Said again it is the same question.
      said = try await ack("mismatch", receipt, key)
      #expect(said == (200, "held"))
      #expect(test.store.balance(of: test.owner).held == earned)
    }
  }

  @Test func `an acknowledgement that cannot be read is refused`() async throws {
    try await withCoordinator([]) { test, _ in
      let key = try await test.account("payer", credit: 0).key
      for body in ["", "{}", "[]", #"{"answer":"00","part":0,"receipt":"00","verdict":"ok"}"#] {
        var request = try ClientRequest.post(
          "http://coordinator/v1/receipts/ack", Array(body.utf8))
        request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key))
        let response = try await test.http.send(request, timeout: .seconds(10))
        #expect(response.status == .badRequest)
      }
      let said = try await Self.acknowledge(
        newAnswer(), part: 0, .zero, "maybe", key: key, test)
      #expect(said.0 == 400)
    }
  }
}
