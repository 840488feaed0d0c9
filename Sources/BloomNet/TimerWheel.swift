/// Something with deadlines that a ``TimerWheel`` looks after.
///
/// Touched on its loop only.
class WheelEntry {
  /// The tick at whose turn the wheel looks at this entry; `nil` while it is in no slot.
  fileprivate(set) final var scheduledTick: UInt64?

  /// The earliest tick at which ``expired(at:)`` has work; `nil` for none.
  var nextDeadline: UInt64? { nil }

  /// Called once a deadline has passed.
  ///
  /// Must move or clear ``nextDeadline``.
  func expired(at tick: UInt64) {}
}

/// Deadlines in slots of one tick.
///
/// Moving a deadline later costs one store and no list work.
///
/// An entry sits in the slot of the earliest deadline it had since it was last looked at; when
/// the slot's turn comes it is fired, or put where its deadline is by then.
struct TimerWheel {
  private var slots: [[WheelEntry]]
  private(set) var now: UInt64 = 0
  private(set) var count = 0

  init(slotCount: Int = 512) { slots = Array(repeating: [], count: slotCount) }

  /// Makes sure that the entry's ``WheelEntry/nextDeadline`` is met.
  mutating func schedule(_ entry: WheelEntry) {
    guard let deadline = entry.nextDeadline else { return }
    let tick = min(max(deadline, now + 1), now + UInt64(slots.count) - 1)
    if let scheduled = entry.scheduledTick, scheduled <= tick { return }
    entry.scheduledTick = tick
    slots[Int(tick % UInt64(slots.count))].append(entry)
    count += 1
  }

  /// Sets the clock without looking at slots; only while the wheel is empty.
  mutating func jump(to tick: UInt64) { now = max(now, tick) }

  /// Moves the clock, and returns what has expired.
  mutating func advance(to tick: UInt64) -> [WheelEntry] {
    var expired: [WheelEntry] = []
    while now < tick, count > 0 {
      now += 1
      let index = Int(now % UInt64(slots.count))
      guard !slots[index].isEmpty else { continue }
      var due: [WheelEntry] = []
      swap(&due, &slots[index])
      count -= due.count
      for entry in due where entry.scheduledTick == now {
        entry.scheduledTick = nil
        guard let deadline = entry.nextDeadline else { continue }
        if deadline <= now { expired.append(entry) } else { schedule(entry) }
      }
    }
    now = max(now, tick)
    return expired
  }
}
