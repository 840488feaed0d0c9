internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A number that threads add to without getting in each other's way.
///
/// Eight cells, each in its own allocation and cache line; a thread adds to one of them.
final class ShardedCount: Sendable {
  private final class Cell: Sendable {
    let value = Atomic<UInt64>(0)
    // Keeps neighbours in the heap off this cache line.
    let padding: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
  }

  private let cells = (0..<8).map { _ in Cell() }

  func add(_ amount: UInt64) {
    #if canImport(Glibc)
    let thread = UInt(pthread_self())
    #else
    let thread = unsafe UInt(bitPattern: pthread_self())
    #endif
    // Thread descriptors are aligned, so the low bits are the same for all.
    let shard = Int(truncatingIfNeeded: (thread &* 0x9e37_79b9_7f4a_7c15) >> 61)
    cells[shard & 7].value.wrappingAdd(amount, ordering: .relaxed)
  }

  var total: UInt64 { cells.reduce(0) { $0 &+ $1.value.load(ordering: .relaxed) } }
}

/// A count that only grows.
public final class Counter: Sendable {
  private let count = ShardedCount()

  init() {}

  /// Adds, from any thread; negative amounts count as zero.
  public func add(_ amount: Int = 1) { count.add(UInt64(max(0, amount))) }

  /// The sum so far.
  public var value: UInt64 { count.total }
}

/// A number that goes up and down.
public final class Gauge: Sendable {
  private let number = Atomic<Int>(0)

  init() {}

  /// Replaces the number; safe from any thread.
  public func set(_ value: Int) { number.store(value, ordering: .relaxed) }

  /// Adds to the number; safe from any thread.
  public func add(_ amount: Int) { number.wrappingAdd(amount, ordering: .relaxed) }

  /// The number.
  public var value: Int { number.load(ordering: .relaxed) }
}

/// How often values fell below each of a few bounds.
public final class Histogram: Sendable {
  /// The upper bounds, ascending, in the unit of the values.
  public let bounds: [Double]
  private let buckets: [ShardedCount]
  private let sumMillionths = ShardedCount()

  init(bounds: [Double]) {
    invariant(zip(bounds, bounds.dropFirst()).allSatisfy(<), "bounds must ascend")
    self.bounds = bounds
    buckets = (0...bounds.count).map { _ in ShardedCount() }
  }

  /// Counts a value, from any thread; negative and non-finite ones count as zero.
  public func record(_ value: Double) {
    let value = value.isFinite && value > 0 ? min(value, 1e12) : 0
    buckets[bounds.firstIndex { value <= $0 } ?? bounds.count].add(1)
    sumMillionths.add(UInt64(value * 1_000_000))
  }

  /// Counts a time span, in seconds.
  public func record(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    record(Double(seconds) + Double(attoseconds) * 1e-18)
  }

  /// How many values fell at or below each bound, and in all; cumulative.
  public var counts: [UInt64] {
    var sum: UInt64 = 0
    return buckets.map {
      sum &+= $0.total
      return sum
    }
  }

  /// The sum of all values, to six decimals.
  public var sum: Double { Double(sumMillionths.total) / 1_000_000 }

  /// Seconds from half a millisecond to a minute.
  public static let seconds: [Double] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
  ]
}
