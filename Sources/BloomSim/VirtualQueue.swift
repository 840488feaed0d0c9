internal import BloomBase

/// Events by time, then by the order in which they were added: virtual time without a clock.
///
/// The heap moves numbers only; events, which own bytes, stay where they are.
struct VirtualQueue<Event> {
  private struct Item {
    var time: UInt64
    var order: UInt32
    var place: Int32
  }

  private var items: [Item] = []
  private var events: [Event?] = []
  private var free: [Int32] = []
  private var order: UInt32 = 0

  mutating func add(_ event: Event, at time: Instant) {
    order += 1
    let slot: Int32
    if let known = free.popLast() {
      slot = known
      events[Int(slot)] = event
    } else {
      slot = Int32(events.count)
      events.append(event)
    }
    let item = Item(time: time.nanoseconds, order: order, place: slot)
    items.append(item)
    var place = items.count - 1
    while place > 0 {
      let parent = (place - 1) / 2
      guard Self.precedes(item, items[parent]) else { break }
      items[place] = items[parent]
      place = parent
    }
    items[place] = item
  }

  mutating func next() -> (time: Instant, event: Event)? {
    guard let first = items.first, let last = items.popLast() else { return nil }
    if !items.isEmpty {
      var place = 0
      while true {
        var child = 2 * place + 1
        guard child < items.count else { break }
        if child + 1 < items.count, Self.precedes(items[child + 1], items[child]) { child += 1 }
        guard Self.precedes(items[child], last) else { break }
        items[place] = items[child]
        place = child
      }
      items[place] = last
    }
    free.append(first.place)
    guard let event = events[Int(first.place)].take() else { return nil }
    return (Instant(nanoseconds: first.time), event)
  }

  private static func precedes(_ a: Item, _ b: Item) -> Bool {
    a.time != b.time ? a.time < b.time : a.order < b.order
  }
}
