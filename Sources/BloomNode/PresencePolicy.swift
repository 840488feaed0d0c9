package import BloomBase
package import BloomWire

/// Decides how much of the machine the network may have: pure, snapshots in, orders out.
///
/// Reasons are tried in a fixed order and the first that holds is the one that is told; the
/// strictest level of all that hold applies. Each reason enters and leaves by thresholds and times
/// of its own, so that nothing flaps.
package struct PresencePolicy: Sendable {
  /// Why the machine is not all the network's; the order of the cases is the order of telling.
  package enum Cause: Int, Sendable, CaseIterable {
    case schedule, app, battery, heat, memory, metered, cap, input, cpu, gpu, power

    /// What others are told.
    package var reason: Reason {
      switch self {
      case .schedule: .outsideHours
      case .app, .input, .cpu, .gpu: .ownerActive
      case .battery: .onBattery
      case .heat: .tooHot
      case .memory: .lowMemory
      case .metered: .meteredNetwork
      case .cap, .power: .ownerCap
      }
    }
  }

  /// One condition with memory: on and off at different values, after different times.
  private struct Latch: Sendable {
    var isOn = false
    private var since: Instant?

    mutating func update(
      enter: Bool, leave: Bool, after: (enter: Duration, leave: Duration), now: Instant
    ) {
      let wantsChange = isOn ? leave : enter
      guard wantsChange else {
        since = nil
        return
      }
      let began = since ?? now
      since = began
      guard now - began >= (isOn ? after.leave : after.enter) else { return }
      isOn.toggle()
      since = nil
    }
  }

  /// What the owner wants.
  package var settings: OwnerSettings
  private var latches: [Latch]

  /// Starts with nothing in the way.
  package init(settings: OwnerSettings) {
    self.settings = settings
    latches = Cause.allCases.map { _ in Latch() }
  }

  /// The causes that hold now, in order.
  package var causes: [Cause] {
    // The limits hold on a dedicated machine too.
    let kept: [Cause] = settings.isDedicated ? [.cap, .power] : Cause.allCases
    return kept.filter { latches[$0.rawValue].isOn }
  }

  /// Whether the owner's own requests may use the machine though others may not.
  ///
  /// Heat, battery, short memory, listed programs and busy graphics keep away the owner's requests
  /// too; a limit of power only lets fewer run at once.
  package var servesOwner: Bool {
    causes.allSatisfy { [.schedule, .metered, .cap, .input, .cpu, .power].contains($0) }
  }

  /// Takes a snapshot.
  ///
  /// - Parameters:
  ///   - snapshot: What is known; what is not known changes nothing.
  ///   - now: When it was taken.
  /// - Returns: How much of the machine may be used from now on.
  package mutating func decide(_ snapshot: OwnerSnapshot, now: Instant) -> ServiceOrder {
    for cause in Cause.allCases { update(cause, snapshot, now) }
    let holding = causes
    guard let first = holding.first else { return .serve }
    let orders = holding.map { order($0, snapshot) }
    let level = orders.map(\.level).max() ?? .serve
    let grace = orders.filter { $0.level == level }.map(\.grace).min() ?? .zero
    return ServiceOrder(level, first.reason, grace: grace)
  }

  /// How long until the next look at the owner's input.
  ///
  /// Often while the network has something that the owner could want back, rarely otherwise.
  package func inputInterval(_ order: ServiceOrder) -> Duration {
    guard settings.yieldsToInput, !settings.isDedicated else { return .seconds(5) }
    return order.level < .drain ? .milliseconds(50) : .seconds(1)
  }

  private mutating func update(_ cause: Cause, _ now: OwnerSnapshot, _ time: Instant) {
    let enter: Bool
    let leave: Bool
    var after: (enter: Duration, leave: Duration) = (.zero, .zero)
    switch cause {
    case .schedule:
      let isInside = [settings.windows, settings.fleetWindows].allSatisfy { windows in
        windows.isEmpty || windows.contains { $0.contains(now.local) }
      }
      (enter, leave) = (!isInside, isInside)
    case .app:
      let runs = !settings.exclusiveApps.isDisjoint(with: now.runningApps)
      (enter, leave) = (runs, !runs)
      after.leave = settings.busyLeaveAfter
    case .battery:
      let isOn = now.isOnBattery ?? false
      enter = isOn && !settings.servesOnBattery
      leave =
        settings.servesOnBattery
        || !isOn && (now.batteryPercent ?? 100) >= settings.batteryLeavePercent
      after.leave = settings.batteryLeaveAfter
    case .heat:
      enter = (now.heat ?? .nominal) >= (settings.stopsWhenWarm ? .fair : .serious)
      leave = (now.heat ?? .nominal) <= .nominal
      after.leave = settings.recoverAfter
    case .memory:
      enter = (now.memory ?? .normal) >= .warning
      leave = (now.memory ?? .normal) == .normal
      after.leave = settings.recoverAfter
    case .metered:
      enter = now.isMetered == true && !settings.servesOnMetered
      leave = !enter
    case .cap:
      enter = isUsedUp(now)
      leave = !enter
    case .input:
      // Behind a locked screen nobody comes back to an open document.
      let away = now.isLocked == true ? settings.lockedLeaveAfter : settings.inputLeaveAfter
      let isQuiet = now.inputIdle.map { $0 >= away } ?? true
      // Between two looks somebody touched something: the first event counts.
      enter = settings.yieldsToInput && now.inputIdle.map { $0 < .seconds(2) } ?? false
      leave = !settings.yieldsToInput || isQuiet
    case .cpu:
      enter = (now.othersCPUPermille ?? 0) > settings.cpuEnterPermille
      leave = (now.othersCPUPermille ?? 0) < settings.cpuLeavePermille
      after = (settings.busyEnterAfter, settings.busyLeaveAfter)
    case .gpu:
      enter = (now.othersGPUPermille ?? 0) > settings.gpuEnterPermille
      leave = (now.othersGPUPermille ?? 0) < settings.gpuLeavePermille
      after = (settings.busyEnterAfter, settings.busyLeaveAfter)
    case .power:
      let limit = settings.limits.watts
      enter = limit > 0 && (now.watts ?? 0) > limit
      leave = limit == 0 || (now.watts ?? 0) <= limit
      // One request takes less power, so the way out is slow: otherwise the two would alternate.
      after = (settings.busyEnterAfter, settings.powerLeaveAfter)
    }
    latches[cause.rawValue].update(enter: enter, leave: leave, after: after, now: time)
  }

  /// Whether a daily limit is reached.
  private func isUsedUp(_ now: OwnerSnapshot) -> Bool {
    let limits = settings.limits
    let hours = limits.hoursPerDay
    let upload = limits.uploadMebibytesPerDay
    return hours > 0 && now.workedToday >= .seconds(hours * 3_600)
      || upload > 0 && now.uploadedBytesToday >= upload << 20
  }

  private func order(_ cause: Cause, _ snapshot: OwnerSnapshot) -> ServiceOrder {
    let forOwner: ServiceLevel = settings.unloadsForOwner ? .away : .drain
    switch cause {
    case .schedule: return ServiceOrder(.away, cause.reason, grace: settings.unhurried)
    case .app, .input: return ServiceOrder(forOwner, cause.reason)
    case .battery: return ServiceOrder(.away, cause.reason)
    case .heat:
      let isCritical = snapshot.heat == .critical
      return ServiceOrder(
        isCritical ? .away : .drain, cause.reason, grace: isCritical ? .zero : .seconds(5))
    case .memory:
      return ServiceOrder(snapshot.memory == .critical ? .away : .polite, cause.reason)
    case .metered: return ServiceOrder(.drain, cause.reason)
    case .cpu, .power: return ServiceOrder(.polite, cause.reason)
    case .cap: return ServiceOrder(.away, cause.reason, grace: settings.unhurried)
    case .gpu: return ServiceOrder(.drain, cause.reason)
    }
  }
}
