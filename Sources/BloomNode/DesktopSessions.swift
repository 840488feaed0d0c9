#if os(Linux)
internal import BloomBase

/// One login session as logind describes it.
///
/// org.freedesktop.login1(5).
struct DesktopSession: Sendable, Equatable {
  var path: String
  /// `x11`, `wayland`, `tty`, `mir` or `unspecified`.
  var type = ""
  var isActive = false
  var isLocked = false
  var isIdle = false
  /// When `isIdle` last changed, in microseconds since 1970; 0 when nobody ever said.
  var idleSince: UInt64 = 0

  /// Reads the answer of `Properties.GetAll`; `nil` for sessions of no user, such as the greeter's.
  init?(path: String, properties: DBusValue) {
    guard properties["Class"]?.string ?? "user" == "user" else { return nil }
    self.path = path
    type = properties["Type"]?.string ?? ""
    isActive = properties["Active"]?.bool ?? false
    isLocked = properties["LockedHint"]?.bool ?? false
    isIdle = properties["IdleHint"]?.bool ?? false
    idleSince = properties["IdleSinceHint"]?.unsigned ?? 0
  }

  /// Time since the last input as far as logind knows; `nil` when another source knows better.
  ///
  /// X servers and terminals are asked themselves. On Wayland the desktop tells logind, and as long
  /// as it does not say "idle" somebody may be there. Behind a screen that was only locked, and
  /// where the time is missing, nobody is there since it was seen so.
  /// - Parameters:
  ///   - now: The time.
  ///   - seenSince: When the session was first seen idle or locked.
  /// - Returns: In whole seconds.
  func idle(now: UnixTime, seenSince: UnixTime?) -> Duration? {
    guard type == "wayland", isActive else { return nil }
    guard isAway else { return .zero }
    let since =
      isIdle && idleSince > 0
      ? Int64(clamping: idleSince / 1_000_000) : (seenSince ?? now).seconds
    return .seconds(max(0, now.seconds - since))
  }

  /// Whether nobody is there, as far as the desktop says.
  var isAway: Bool { isIdle || isLocked }
}

/// What logind, the desktop and NetworkManager say of the owner, over D-Bus.
final class DesktopSessions: Sendable {
  private struct State: Sendable {
    var paths: [String] = []
    var sessions: [DesktopSession] = []
    /// When sessions were first seen idle or locked, by path.
    var awaySince: [String: UnixTime] = [:]
  }

  private static let login = "org.freedesktop.login1"
  private let system: DBusConnection?
  private let session: DBusConnection?
  private let state = Locked(State())

  /// Takes the addresses of the buses from the environment; nothing is opened.
  init(environment: [String: String]) {
    system = DBusConnection.system(environment: environment)
    session = DBusConnection.session(environment: environment)
  }

  /// Looks again which sessions sit at this machine; about once a second.
  ///
  /// - Returns: Whether every one of them is locked; `nil` when there is none.
  func refresh() -> Bool? {
    let list = system?.call(
      Self.login, "/org/freedesktop/login1", "\(Self.login).Manager", "ListSessions")
    // Each is id, user, name, seat and path; without a seat it is a remote one.
    let paths = (list?.first?.items ?? []).compactMap { item -> String? in
      let parts = item.items
      guard parts.count == 5, parts[3].string?.isEmpty == false else { return nil }
      return parts[4].string
    }
    let sessions = paths.compactMap { look(at: $0) }
    state.withLock {
      $0.paths = paths
      $0.sessions = sessions
    }
    let people = sessions.filter(\.isActive)
    return people.isEmpty ? nil : people.allSatisfy(\.isLocked)
  }

  private func look(at path: String) -> DesktopSession? {
    system?.call(
      Self.login, path, "org.freedesktop.DBus.Properties", "GetAll", ["\(Self.login).Session"])?
      .first.flatMap { DesktopSession(path: path, properties: $0) }
  }

  /// Time since the last input on Wayland; `nil` where nobody sits at one.
  ///
  /// GNOME's own counter is exact; elsewhere the hint that the desktop gives to logind counts.
  func idle(now: UnixTime) -> Duration? {
    let wayland = state.withLock { $0.sessions }.filter { $0.type == "wayland" && $0.isActive }
    guard !wayland.isEmpty else { return nil }
    if let exact = mutterIdle() { return exact }
    let seen = wayland.compactMap { look(at: $0.path) }
    let since = state.withLock { state in
      var kept: [String: UnixTime] = [:]
      for place in seen where place.isAway {
        kept[place.path] = state.awaySince[place.path] ?? now
      }
      state.awaySince = kept
      return kept
    }
    return seen.compactMap { $0.idle(now: now, seenSince: since[$0.path]) }.min()
  }

  private func mutterIdle() -> Duration? {
    session?.call(
      "org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core",
      "org.gnome.Mutter.IdleMonitor", "GetIdletime")?.first?.unsigned
      .map { .milliseconds(Int64(clamping: $0)) }
  }

  /// Whether NetworkManager thinks that the network costs by volume; `nil` when it does not run.
  func isMetered() -> Bool? {
    let manager = "org.freedesktop.NetworkManager"
    let value = system?.call(
      manager, "/org/freedesktop/NetworkManager", "org.freedesktop.DBus.Properties", "Get",
      [manager, "Metered"])?.first?.unsigned
    // 1 yes, 2 no, 3 and 4 the same as guesses, 0 unknown.
    return value.flatMap { $0 == 0 ? nil : $0 == 1 || $0 == 3 }
  }

  /// Asks logind not to suspend an idle machine; the file holds the wish while it is open.
  func inhibitSleep() -> Int32? {
    var files: [Int32] = []
    _ = system?.call(
      Self.login, "/org/freedesktop/login1", "\(Self.login).Manager", "Inhibit",
      ["idle", "darkbloom", "a request runs", "block"], files: &files)
    return files.first
  }
}
#endif
