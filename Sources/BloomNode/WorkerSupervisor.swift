internal import BloomBase
internal import BloomCrypto
internal import BloomModels
internal import BloomNet
internal import BloomPlatform
internal import BloomWire

/// What every worker of a node is told at its start.
package struct WorkerSettings: Sendable {
  /// Tokens of context for each slot; 0 for the model's own.
  package var contextTokens = 0
  /// Requests at once; 0 for the engine's choice.
  package var slots = 0
  /// Threads to compute with; 0 for all processors that it may use.
  package var threads = 0
  /// Bytes of memory for weights and caches; 0 for no limit.
  package var memoryBytes = 0
  /// Protections without which the worker must not make keys.
  package var requiredFacts = SandboxFacts(SandboxFacts.requiredOfWorker).names
  /// Whether a guard process takes the tracer's place.
  package var startsGuard = true
  /// Whether graphics drivers must stay reachable.
  package var allowsDeviceControl = false
  /// Whether files are hashed again before they are loaded.
  package var verifiesFiles = true

  /// The engine's own choices, checked files and a guard.
  package init() {}
}

/// Keeps one worker running while it is wanted: starts it, listens to it, starts it again.
struct WorkerSupervisor: Sendable {
  /// Bytes of commands that may wait for a worker: what the link may hold and some control.
  static let outboxBytes = 192 << 20

  let model: NodeModel
  let settings: WorkerSettings
  let release: Digest
  let launcher: any WorkerLauncher
  let agent: NodeAgent
  let time: any TimeSource
  let loop: EventLoop
  let log: Log

  /// Runs until the agent stops or the task is cancelled.
  func run() async {
    var history = CrashHistory()
    var random = SecureRandom()
    while await agent.untilWanted(model.id) {
      let served = await runOnce()
      guard await agent.isCrash(model.id) else { continue }
      let now = time.now()
      let delay = history.ended(served: served, now: now, using: &random)
      await agent.workerCrashed(model.id, isLooping: history.isLooping(now: now))
      // Cancelled means that the agent stops, which the loop's condition sees.
      try? await loop.sleep(for: delay)
      if Task.isCancelled { return }
    }
  }

  /// One life of the worker; gives how long it served.
  private func runOnce() async -> Duration {
    let channel: any WorkerChannel
    let descriptors: [Int32]
    do {
      (channel, descriptors) = try await launcher.launch(model)
    } catch {
      log.error("worker not started", ["model": .id(model.id), "reason": .error(error)])
      await agent.workerFailed(model.id, error.safeDescription)
      return .zero
    }
    let outbox = TwoLaneQueue(byteLimit: Self.outboxBytes)
    await agent.workerStarted(model.id, outbox)
    let first = WorkerCommand.load(order(descriptors))
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await write(outbox, first: first, to: channel) }
      group.addTask { await read(channel) }
      await group.next()
      group.cancelAll()
      outbox.finish(dropping: true)
      await channel.close()
    }
    return await agent.workerEnded(model.id)
  }

  private func order(_ descriptors: [Int32]) -> WorkerOrder {
    WorkerOrder(
      manifest: model.manifest.encoded, descriptors: descriptors, node: agent.nodeID,
      release: release, contextTokens: settings.contextTokens, slots: settings.slots,
      threads: settings.threads, memoryBytes: settings.memoryBytes,
      requiredFacts: settings.requiredFacts, startsGuard: settings.startsGuard,
      allowsDeviceControl: settings.allowsDeviceControl, verifiesFiles: settings.verifiesFiles,
      policy: agent.refusals)
  }

  private func write(
    _ outbox: TwoLaneQueue, first: WorkerCommand, to channel: any WorkerChannel
  ) async {
    do {
      try await channel.send(LengthFraming.framed(first.encoded))
      while true {
        let batch = await outbox.next()
        if batch.isEmpty { return }
        for message in batch { try await channel.send(message) }
      }
    } catch {
      return  // the worker is gone, which the reader sees too
    }
  }

  private func read(_ channel: any WorkerChannel) async {
    var framing = LengthFraming(limit: WorkerLinkLimits.message)
    do {
      while let bytes = try await channel.receive() {
        framing.append(bytes[...])
        while let message = try framing.next() {
          let event: WorkerEvent
          do throws(WireError) {
            event = try WorkerEvent(decoding: message)
          } catch .unknownMessage {
            continue  // a worker of a later build may say more
          }
          await agent.received(event, from: model.id)
        }
      }
    } catch is CancellationError {
      return
    } catch {
      log.warning("worker's channel broke", ["model": .id(model.id), "reason": .error(error)])
    }
  }
}
