internal import BloomBase
internal import BloomPlatform

/// Looks at the owner's signals and passes what the policy decides to the agent.
///
/// Sensors block for moments, so they run on a thread of their own.
actor OwnerWatch {
  /// Between two looks at everything but input.
  static let slow = Duration.seconds(1)

  private let executor = ThreadExecutor(name: "owner-watch")
  private var sensor: any OwnerSensor
  private var policy: PresencePolicy
  private let time: any TimeSource
  private var snapshot: OwnerSnapshot
  private var order = ServiceOrder.serve
  private var readAt: Instant?

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(settings: OwnerSettings, sensor: any OwnerSensor, time: any TimeSource) {
    policy = PresencePolicy(settings: settings)
    self.sensor = sensor
    self.time = time
    snapshot = OwnerSnapshot(local: LocalClock.local(time.unixTime()))
  }

  deinit { executor.stop() }

  /// One look.
  ///
  /// - Returns: The order that holds now, and when to look again.
  func look() -> (order: ServiceOrder, next: Duration) {
    let now = time.now()
    if readAt.map({ now - $0 >= Self.slow }) ?? true {
      readAt = now
      snapshot.local = LocalClock.local(time.unixTime())
      sensor.read(into: &snapshot)
    }
    snapshot.inputIdle = sensor.inputIdle()
    order = policy.decide(snapshot, now: now)
    return (order, min(policy.inputInterval(order), Self.slow))
  }
}
