internal import BloomBase
internal import BloomPlatform
internal import CTLS
internal import Synchronization

/// A fixed set of event loops, handed out in turn.
public final class EventLoopGroup: Sendable {
  /// The loops, at least one.
  public let loops: [EventLoop]
  private let turn = Atomic<Int>(0)

  /// Starts the threads, and makes the process ignore SIGPIPE.
  ///
  /// - Parameter count: Threads, 1…64; `nil` for one a core that the process may use, four at
  ///   most.
  public init(count: Int? = nil) {
    ctls_ignore_sigpipe()
    let count = min(64, max(1, count ?? min(4, HardwareFacts.current().usableCores)))
    loops = (0..<count).map { EventLoop(name: "bloom-net-\($0)") }
    for loop in loops { loop.start() }
  }

  deinit { stop() }

  /// The group of programs that need no second one; never stops.
  public static let shared = EventLoopGroup()

  /// The loop of the caller when it is one of this group, otherwise the next in turn.
  public func next() -> EventLoop {
    if loops.count == 1 { return loops[0] }
    if let current = loops.first(where: \.isCurrent) { return current }
    return any()
  }

  /// The next in turn.
  public func any() -> EventLoop {
    let number = turn.wrappingAdd(1, ordering: .relaxed).oldValue
    return loops[Int(UInt(bitPattern: number) % UInt(loops.count))]
  }

  /// Closes every socket of the loops and ends their threads; safe to call twice.
  ///
  /// End servers and clients first: jobs that come later are lost.
  public func stop() {
    for loop in loops { loop.stop() }
  }
}
