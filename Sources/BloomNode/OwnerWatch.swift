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
  private var readAt: Instant?

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private let sleep: any SleepInhibitor
  private var rule = SleepRule()

  init(
    settings: OwnerSettings, sensor: any OwnerSensor, sleep: any SleepInhibitor,
    time: any TimeSource
  ) {
    self.sleep = sleep
    policy = PresencePolicy(settings: settings)
    self.sensor = sensor
    self.time = time
    snapshot = OwnerSnapshot(local: LocalClock.local(time.unixTime()))
  }

  deinit { executor.stop() }

  /// The owner changed the settings.
  func set(_ settings: OwnerSettings) {
    policy.settings = settings
    sensor.watch(apps: settings.exclusiveApps)
    readAt = nil
  }

  /// What is known of the machine; as of the last look.
  func known() -> (snapshot: OwnerSnapshot, causes: [PresencePolicy.Cause]) {
    (snapshot, policy.causes)
  }

  /// Lets the machine sleep again.
  func end() { sleep.release() }

  /// One look.
  ///
  /// - Parameter work: What the agent does and did today.
  /// - Returns: The order that holds now, whether the owner's own requests are served whatever it
  ///   says, and when to look again.
  func look(
    _ work: WorkToday
  ) -> (order: ServiceOrder, servesOwner: Bool, next: Duration) {
    let now = time.now()
    snapshot.workedToday = work.worked
    snapshot.uploadedBytesToday = work.uploadedBytes
    if readAt.map({ now - $0 >= Self.slow }) ?? true {
      readAt = now
      snapshot.local = LocalClock.local(time.unixTime())
      sensor.read(into: &snapshot)
    }
    snapshot.inputIdle = sensor.inputIdle()
    let order = policy.decide(snapshot, now: now)
    switch rule.decide(isWorking: work.isWorking, isOnBattery: snapshot.isOnBattery) {
    case .hold: sleep.hold()
    case .release: sleep.release()
    case nil: break
    }
    return (order, policy.servesOwner, min(policy.inputInterval(order), Self.slow))
  }
}
