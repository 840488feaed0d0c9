/// A binary heap of small integers by key, whose members can be moved and removed in O(log n).
///
/// Positions are kept by the caller, so that many heaps share one table.
struct KeyedHeap: Equatable, Sendable {
  struct Item: Equatable, Sendable {
    var key: UInt64
    var id: Int
  }

  /// Marks an identifier that is in no heap.
  static let absent: Int32 = -1

  private var items: [Item] = []

  var minimum: Item? { items.first }

  /// Adds an identifier that is not in the heap.
  mutating func insert(_ id: Int, key: UInt64, _ positions: inout [Int32]) {
    items.append(Item(key: key, id: id))
    positions[id] = Int32(items.count - 1)
    siftUp(items.count - 1, &positions)
  }

  /// Takes an identifier out; one that is not there is ignored.
  mutating func remove(_ id: Int, _ positions: inout [Int32]) {
    let place = Int(positions[id])
    guard place >= 0 else { return }
    positions[id] = Self.absent
    let last = items.removeLast()
    guard place < items.count else { return }
    items[place] = last
    positions[last.id] = Int32(place)
    siftUp(place, &positions)
    siftDown(Int(positions[last.id]), &positions)
  }

  /// Gives an identifier another key, or adds it.
  mutating func update(_ id: Int, key: UInt64, _ positions: inout [Int32]) {
    let place = Int(positions[id])
    guard place >= 0 else { return insert(id, key: key, &positions) }
    items[place].key = key
    siftUp(place, &positions)
    siftDown(Int(positions[id]), &positions)
  }

  private static func precedes(_ a: Item, _ b: Item) -> Bool {
    a.key != b.key ? a.key < b.key : a.id < b.id
  }

  private mutating func siftUp(_ start: Int, _ positions: inout [Int32]) {
    let moving = items[start]
    var place = start
    while place > 0 {
      let parent = (place - 1) / 2
      guard Self.precedes(moving, items[parent]) else { break }
      items[place] = items[parent]
      positions[items[place].id] = Int32(place)
      place = parent
    }
    items[place] = moving
    positions[moving.id] = Int32(place)
  }

  private mutating func siftDown(_ start: Int, _ positions: inout [Int32]) {
    let moving = items[start]
    var place = start
    while true {
      var child = 2 * place + 1
      guard child < items.count else { break }
      if child + 1 < items.count, Self.precedes(items[child + 1], items[child]) { child += 1 }
      guard Self.precedes(items[child], moving) else { break }
      items[place] = items[child]
      positions[items[place].id] = Int32(place)
      place = child
    }
    items[place] = moving
    positions[moving.id] = Int32(place)
  }
}
