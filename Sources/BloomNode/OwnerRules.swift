internal import BloomBase
internal import BloomNet

/// The owner's settings as they hold now, and the watch that looks after them.
actor OwnerRules {
  private(set) var settings: OwnerSettings
  private let watch: OwnerWatch?
  private let load: (@Sendable () throws -> OwnerSettings)?

  init(
    settings: OwnerSettings?, watch: OwnerWatch?,
    load: (@Sendable () throws -> OwnerSettings)?
  ) {
    self.settings = settings ?? OwnerSettings()
    self.watch = watch
    self.load = load
  }

  /// Reads the settings again; a mistake in them leaves the old ones in force.
  func reload() async throws {
    guard let load else { return }
    let new = try load()
    settings = new
    await watch?.set(new)
  }

  /// What is known of the machine; `nil` when nobody looks.
  func signals() async -> NodeStatus.Signals? {
    guard let (snapshot, causes) = await watch?.known() else { return nil }
    return NodeStatus.Signals(snapshot: snapshot, causes: causes)
  }

  /// Looks after the owner until cancelled.
  static func run(
    _ watch: OwnerWatch, agent: NodeAgent, owner: OwnerSwitch, loop: EventLoop
  ) async throws {
    do {
      while !Task.isCancelled {
        let (order, servesOwner, next) = await watch.look(await agent.workToday())
        await owner.sense(order, servesOwner: servesOwner)
        try await loop.sleep(for: next)
      }
    } catch {
      await watch.end()
      throw error
    }
    await watch.end()
  }
}
