package import BloomBase

/// Which keys are offered and accepted when.
///
/// Pure: it knows names and times, never secrets.
///
/// An epoch is offered for an hour and accepted for ten minutes more, so that a seized machine
/// gives up at most 70 minutes. A key is used only after the agent says that evidence vouches
/// for it: before that nobody can have sealed to it.
package struct KeyCalendar: Sendable {
  /// Times of an epoch's life, from when it was made.
  package enum Limits: Sendable {
    /// When the next epoch is made, so that its record is out before the offer ends.
    package static let renewal = Duration.seconds(3_300)
    /// When the offer ends.
    package static let offer = Duration.seconds(3_600)
    /// When the keys are wiped.
    package static let life = Duration.seconds(4_200)
  }

  /// What the driver must do.
  package enum Effect: Equatable, Sendable {
    /// Make the keys of a new epoch.
    case makeKeys
    /// Wipe these keys, what they opened, and the memory of their replays.
    case wipe([KeyID])
  }

  private struct Epoch: Sendable {
    var kids: [KeyID]
    var madeAt: Instant
    var evidence: [KeyID: Digest] = [:]
  }

  private var epochs: [Epoch] = []
  private var isRenewing = false

  /// Starts without keys.
  package init() {}

  /// The keys of a new epoch exist.
  package mutating func keysMade(_ kids: [KeyID], now: Instant) {
    epochs.append(Epoch(kids: kids, madeAt: now))
    isRenewing = false
  }

  /// Evidence vouches for a key; unknown keys are ignored, they may have been wiped meanwhile.
  package mutating func vouched(_ kid: KeyID, evidence: Digest) {
    guard let index = epochs.firstIndex(where: { $0.kids.contains(kid) }) else { return }
    epochs[index].evidence[kid] = evidence
  }

  /// The evidence of a key that may be used now; `nil` when it is unknown, unvouched or too old.
  package func evidence(of kid: KeyID, now: Instant) -> Digest? {
    guard let epoch = epochs.first(where: { $0.kids.contains(kid) }),
      now - epoch.madeAt < Limits.life
    else { return nil }
    return epoch.evidence[kid]
  }

  /// The agent asks for a new epoch.
  package mutating func renewalAsked() -> [Effect] {
    if isRenewing { return [] }
    isRenewing = true
    return [.makeKeys]
  }

  /// Time has passed.
  package mutating func tick(now: Instant) -> [Effect] {
    var effects: [Effect] = []
    let old = epochs.filter { now - $0.madeAt >= Limits.life }
    if !old.isEmpty {
      epochs.removeAll { now - $0.madeAt >= Limits.life }
      effects.append(.wipe(old.flatMap(\.kids)))
    }
    let newest = epochs.map(\.madeAt).max()
    if newest.map({ now - $0 >= Limits.renewal }) ?? !old.isEmpty { effects += renewalAsked() }
    return effects
  }
}
