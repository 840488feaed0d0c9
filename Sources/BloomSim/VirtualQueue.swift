internal import BloomBase

/// Events by time, then by the order in which they were added: virtual time without a clock.
struct VirtualQueue<Event> {
  private struct Item {
    var time: UInt64
    var order: UInt64
    var event: Event
  }

  private var items: [Item] = []
  private var order: UInt64 = 0

  var isEmpty: Bool { items.isEmpty }

  mutating func add(_ event: Event, at time: Instant) {
    order += 1
    items.append(Item(time: time.nanoseconds, order: order, event: event))
    var place = items.count - 1
    while place > 0 {
      let parent = (place - 1) / 2
      guard precedes(place, parent) else { break }
      items.swapAt(place, parent)
      place = parent
    }
  }

  mutating func next() -> (time: Instant, event: Event)? {
    guard let first = items.first else { return nil }
    let last = items.removeLast()
    if !items.isEmpty {
      items[0] = last
      var place = 0
      while true {
        var child = 2 * place + 1
        guard child < items.count else { break }
        if child + 1 < items.count, precedes(child + 1, child) { child += 1 }
        guard precedes(child, place) else { break }
        items.swapAt(child, place)
        place = child
      }
    }
    return (Instant(nanoseconds: first.time), first.event)
  }

  private func precedes(_ a: Int, _ b: Int) -> Bool {
    items[a].time != items[b].time ? items[a].time < items[b].time : items[a].order < items[b].order
  }
}
