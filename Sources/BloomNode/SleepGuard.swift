internal import BloomBase

#if os(macOS)
internal import IOKit.pwr_mgt
#else
internal import Glibc
#endif

/// Keeps the machine from falling asleep by itself; a user who wants it to sleep always wins.
package protocol SleepInhibitor: Sendable {
  /// Keeps it awake until ``release()``; tries and does not insist.
  func hold()
  /// Lets it sleep.
  func release()
}

/// When a machine is kept awake: only while requests run, and only on mains; pure.
struct SleepRule: Sendable, Equatable {
  /// What to do now.
  enum Step: Sendable, Equatable { case hold, release }

  private(set) var isHeld = false

  /// Takes what is known; `nil` when nothing is to be done.
  mutating func decide(isWorking: Bool, isOnBattery: Bool?) -> Step? {
    let wants = isWorking && isOnBattery != true
    guard wants != isHeld else { return nil }
    isHeld = wants
    return wants ? .hold : .release
  }
}

/// What a node did today, for its limits.
package struct WorkToday: Sendable, Equatable {
  /// Whether requests run now.
  package var isWorking = false
  /// How long requests ran.
  package var worked = Duration.zero
  /// Answer bytes that left the machine.
  package var uploadedBytes = 0

  /// Nothing.
  package init() {}
}

#if os(macOS)
/// Holds an assertion of the power manager.
///
/// Compiled on macOS only, so not by the checks that run on Linux.
final class SystemSleepInhibitor: SleepInhibitor {
  private let assertion = Locked<IOPMAssertionID?>(nil)

  init(environment: [String: String]) {}

  func hold() {
    assertion.withLock { assertion in
      guard assertion == nil else { return }
      var id = IOPMAssertionID(0)
      let kind = kIOPMAssertionTypePreventUserIdleSystemSleep as CFString
      let code = unsafe IOPMAssertionCreateWithName(
        kind, IOPMAssertionLevel(kIOPMAssertionLevelOn), "Darkbloom: a request runs" as CFString,
        &id)
      if code == kIOReturnSuccess { assertion = id }
    }
  }

  func release() {
    assertion.withLock { assertion in
      if let id = assertion { IOPMAssertionRelease(id) }
      assertion = nil
    }
  }
}
#else
/// Holds an inhibitor of logind, which ends with its open file, also after `kill -9`.
final class SystemSleepInhibitor: SleepInhibitor {
  private let desktop: DesktopSessions
  private let file = Locked<Int32?>(nil)

  init(environment: [String: String]) { desktop = DesktopSessions(environment: environment) }

  deinit { release() }

  func hold() {
    guard file.withLock({ $0 }) == nil, let new = desktop.inhibitSleep() else { return }
    file.withLock { $0 = new }
  }

  func release() {
    if let old = file.withLock({ file in
      defer { file = nil }
      return file
    }) {
      close(old)
    }
  }
}
#endif
