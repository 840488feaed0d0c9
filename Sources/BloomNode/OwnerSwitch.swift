internal import BloomBase
internal import BloomWire

/// Joins what the owner says by hand with what the machine's signals say.
actor OwnerSwitch {
  private let agent: NodeAgent
  private let folder: StateFolder
  private var isPaused: Bool
  private var sensed = ServiceOrder.serve
  private var servesOwner = false

  /// The pause outlives a restart: an owner who paused does not want a surprise.
  private static let fileName = "paused"

  init(agent: NodeAgent, folder: StateFolder) {
    self.agent = agent
    self.folder = folder
    isPaused = folder.mode(of: Self.fileName) != nil
  }

  /// Applies what was remembered.
  func begin() async { await apply() }

  /// The owner pauses or resumes.
  func setPaused(_ paused: Bool) async {
    isPaused = paused
    if paused {
      // Lost only when the disk is full: then the pause holds until the next start.
      try? folder.write(Self.fileName, [])
    } else {
      folder.remove(Self.fileName)
    }
    await apply()
  }

  /// The machine's signals changed what may be used.
  func sense(_ order: ServiceOrder, servesOwner: Bool) async {
    guard order != sensed || servesOwner != self.servesOwner else { return }
    sensed = order
    self.servesOwner = servesOwner
    await apply()
  }

  private func apply() async {
    if isPaused {
      await agent.set(ServiceOrder(.away, .paused, grace: .seconds(20)))
    } else {
      await agent.set(sensed, servesOwner: servesOwner)
    }
  }
}
