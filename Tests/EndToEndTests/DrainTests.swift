import BloomBase
import BloomChaos
import BloomHTTP
import BloomNet
import BloomTestSupport
import BloomWire
import Testing

/// A coordinator that is stopped by hand, with the programs as people run them.
@Suite(.timeLimit(.minutes(2))) struct DrainTests {
  private func request(_ gateway: (url: String, token: String, processID: Int32), tokens: Int)
    throws -> ClientRequest
  {
    let body = JSONValue.members([
      "model": .string("scripted:chaos"), "max_tokens": .integer(tokens), "stream": .bool(true),
      "messages": .array([.members(["role": .string("user"), "content": .string("go on")])]),
    ])
    var request = try ClientRequest.post(gateway.url + "/v1/chat/completions", body.encoded)
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + gateway.token))
    return request
  }

  private func pieces(_ stream: [UInt8]) -> [JSONValue] {
    LocalNetwork.events(stream).compactMap { try? JSONValue(decoding: Array($0.utf8)) }
  }

  private func status(_ url: String, _ client: HTTPClient) async -> HTTPStatus? {
    guard let request = try? ClientRequest.get(url) else { return nil }
    return try? await client.send(request, timeout: .seconds(2)).status
  }

  @Test func `SIGTERM lets a running answer end, refuses new ones, and the gateway goes on after`()
    async throws
  {
    let folder = try TemporaryFolder("drain")
    let cluster = try LocalCluster(folder: folder.path)
    do {
      try await cluster.start(bundled: nil)
      try await cluster.addNode(.scripted)
      let gateway = try await cluster.startGateway()
      let client = HTTPClient()
      defer { client.close() }

      let answer = try await client.send(try request(gateway, tokens: 40))
      #expect(answer.status == .ok)
      var stream: [UInt8] = []
      var exit: Task<Subprocess.Exit?, Never>?
      var refused: HTTPStatus?
      for try await bytes in answer.body {
        stream += bytes
        guard exit == nil, stream.count > 400 else { continue }
        // In the middle of the answer.
        exit = Task { await cluster.stopCoordinator() }
        while refused != .serviceUnavailable {
          refused = await status(cluster.coordinatorURL + "/readyz", client)
        }
        let late = try await client.send(try request(gateway, tokens: 8), timeout: .seconds(30))
        #expect(late.status == .serviceUnavailable)
        #expect(late.headers[.retryAfter] != nil)
      }
      let choices = pieces(stream).compactMap { $0["choices"]?.items?.first }
      #expect(choices.compactMap { $0["finish_reason"]?.string } == ["length"])
      #expect(await exit?.value == Subprocess.Exit(code: 0, signal: 0))

      try await cluster.startCoordinator()
      var again: HTTPStatus?
      for _ in 0..<200 where again != .ok {
        let response = try await client.send(try request(gateway, tokens: 8))
        let bytes = try await response.body.collect(upTo: 1 << 20)
        // The head is sent before a machine is found; an error comes in the stream.
        let isWhole = pieces(bytes).contains {
          $0["choices"]?.items?.first?["finish_reason"]?.string != nil
        }
        if isWhole { again = response.status }
        if again != .ok { try await Task.sleep(for: .milliseconds(100)) }
      }
      #expect(again == .ok)
      await cluster.stop()
    } catch {
      await cluster.stop()
      throw error
    }
    withExtendedLifetime(folder) {}
  }
}
