/// Finds small numbers by 64-bit hashes: one memory access for a lookup in a table of any size.
///
/// The hashes must be seeded, so that nobody can aim at one place of the table. Open addressing
/// with linear probing and backward-shift deletion (Knuth, vol. 3, 6.4). An entry holds 32 bits of
/// its hash beside the number, so that only what is very likely meant is looked at; the caller
/// compares the real names.
struct DenseIndex: Sendable {
  /// Hash in the upper half, number plus one in the lower; 0 for an empty place.
  private var entries: [UInt64] = Array(repeating: 0, count: 16)
  private(set) var count = 0

  private var mask: Int { entries.count - 1 }

  /// Where a lookup stands.
  struct Probe {
    fileprivate var tag: UInt64
    fileprivate var place: Int
  }

  /// Begins a lookup.
  func probe(_ hash: UInt64) -> Probe { Probe(tag: hash >> 32, place: Int(hash >> 32) & mask) }

  /// The number in a hash's own place, whosever it is; for reading ahead.
  func guess(_ hash: UInt64) -> Int { Int(entries[Int(hash >> 32) & mask] & 0xffff_ffff) - 1 }

  /// The next number that may be the one; `nil` when there is no other.
  func next(_ probe: inout Probe) -> Int? {
    while true {
      let entry = entries[probe.place]
      if entry == 0 { return nil }
      probe.place = (probe.place + 1) & mask
      if entry >> 32 == probe.tag { return Int(entry & 0xffff_ffff) - 1 }
    }
  }

  /// Adds a number, below 2^32 − 1; the caller knows that it is not there.
  mutating func insert(_ hash: UInt64, _ number: Int) {
    if 2 * (count + 1) > entries.count { grow() }
    count += 1
    put(Self.entry(hash, number))
  }

  /// Takes a number out; one that is not there is ignored.
  mutating func remove(_ hash: UInt64, _ number: Int) {
    let wanted = Self.entry(hash, number)
    var place = Int(hash >> 32) & mask
    while entries[place] != wanted {
      if entries[place] == 0 { return }
      place = (place + 1) & mask
    }
    count -= 1
    // What follows without a gap moves up unless its own place is behind the hole.
    var next = (place + 1) & mask
    while entries[next] != 0 {
      let home = Int(entries[next] >> 32) & mask
      if (next - home) & mask >= (next - place) & mask {
        entries[place] = entries[next]
        place = next
      }
      next = (next + 1) & mask
    }
    entries[place] = 0
  }

  private static func entry(_ hash: UInt64, _ number: Int) -> UInt64 {
    (hash & 0xffff_ffff_0000_0000) | UInt64(number + 1)
  }

  private mutating func put(_ entry: UInt64) {
    var place = Int(entry >> 32) & mask
    while entries[place] != 0 { place = (place + 1) & mask }
    entries[place] = entry
  }

  private mutating func grow() {
    let old = entries
    entries = Array(repeating: 0, count: 2 * old.count)
    for entry in old where entry != 0 { put(entry) }
  }
}
