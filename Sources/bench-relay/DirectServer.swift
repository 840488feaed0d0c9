internal import BloomBase
internal import BloomNet
internal import BloomOpen
internal import BloomRecords
internal import BloomWire

/// A machine that answers envelopes over plain HTTP: asked directly, and what nginx proxies.
actor DirectMachine {
  private let loop: EventLoop
  private var opener: RequestOpener

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe loop.serial.asUnownedSerialExecutor()
  }

  init(_ machine: BenchMachine, loop: EventLoop) {
    self.loop = loop
    opener = machine.opener()
  }

  /// The sealed chunks of an answer, the preamble before the first.
  private func answer(_ envelope: [UInt8], tokens: Int) throws -> [[UInt8]] {
    let now = SystemTime().unixTime()
    let opened = try opener.open(envelope, at: now)
    var sealer = try opened.answer(start: now)
    var chunks: [[UInt8]] = []
    for index in 0..<tokens {
      var output: [UInt8] = []
      try sealer.send(
        [.tokens(TokenFrame(tokens: [UInt32(index)], deltas: [.content("word ")]))],
        into: &output)
      chunks.append(output)
    }
    var output: [UInt8] = []
    _ = try sealer.finish(BenchNode.counts(.stop, now), into: &output)
    return chunks + [output]
  }

  /// A server of this machine; `/v1/sealed/1` answers with one token.
  nonisolated func server(_ group: EventLoopGroup) -> HTTPServer {
    var router = Router()
    router.post("/v1/sealed/:tokens") { [self] request in
      let tokens = request.parameters["tokens"].flatMap { Int($0) } ?? 1
      let envelope = try await request.body.collect(upTo: 1 << 20)
      let chunks = try await answer(envelope, tokens: tokens)
      return .stream("application/darkbloom-res") { writer in
        for chunk in chunks {
          try await writer.write(chunk)
          try await writer.flush()
        }
      }
    }
    return HTTPServer(
      HTTPServer.Configuration(.tcp(host: "127.0.0.1", port: 0)), group: group, responder: router)
  }
}
