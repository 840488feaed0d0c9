internal import BloomBase
internal import BloomNet

/// What a node does beside its work, once a second: tests itself, keeps its book, sees updates.
struct NodeChores: Sendable {
  /// Between two writes of the usage book, in looks.
  static let saveEvery = 60
  /// Between two looks at the program's files, in looks.
  static let updateEvery = 10

  let agent: NodeAgent
  let usage: UsageShelf
  let selfTest: (any NodeSelfTest)?
  let programs: [String]
  let time: any TimeSource
  let loop: EventLoop
  let log: Log

  /// Runs until cancelled.
  ///
  /// - Throws: ``NodeError`` `updated` once the program's files were replaced.
  func run() async throws {
    var watch = ProgramWatch(paths: programs)
    var looks = 0
    while true {
      try await loop.sleep(for: .seconds(1))
      looks += 1
      if let selfTest, let due = await agent.selfTestDue() { await test(due, selfTest) }
      if looks % Self.saveEvery == 0, let book = await agent.takeChangedUsage() {
        do {
          try await usage.store(book)
        } catch {
          log.error("usage not kept", ["reason": .error(error)])
          await agent.usageNotKept()
        }
      }
      if !programs.isEmpty, looks % Self.updateEvery == 0, watch.isReplaced() {
        log.info("program was replaced; the node drains and ends to be started anew", [:])
        throw NodeError(.updated, "the program was updated; the service manager starts it anew")
      }
    }
  }

  private func test(_ due: (model: NodeModel, record: [UInt8]), _ selfTest: any NodeSelfTest) async
  {
    let start = time.now()
    var result = SelfTestResult(at: time.unixTime(), took: .zero, tokens: 0)
    do {
      result.tokens = try await selfTest.run(due.model.manifest, record: due.record) { envelope in
        try await agent.runLocally(envelope)
      }
    } catch {
      result.failure = error.safeDescription
    }
    result.took = time.now() - start
    result.at = time.unixTime()
    await agent.selfTested(due.model.id, result)
  }
}
