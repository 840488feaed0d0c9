#if TSAN
public import Foundation
#else
public import Synchronization
#endif

/// State behind one lock.
///
/// `State` must be `Sendable`, so nothing that leaves ``withLock(_:)`` can still alias it.
public final class Locked<State: Sendable>: Sendable {
  #if TSAN
  // Thread sanitizer does not see the hand-over inside a contended `Mutex` on Linux.
  @usableFromInline let lock = NSLock()
  @usableFromInline nonisolated(unsafe) var state: State
  #else
  @usableFromInline let mutex: Mutex<State>
  #endif

  /// Creates the lock around its first state.
  @inlinable public init(_ state: State) {
    #if TSAN
    unsafe self.state = state
    #else
    mutex = Mutex(state)
    #endif
  }

  /// Runs a closure with the lock held.
  ///
  /// Inlinable: unspecialised, a lock costs more for its generic metadata than for itself.
  ///
  /// - Parameter body: Must be short and must not block.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws.
  @inlinable public func withLock<Result, Failure: Error>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    #if TSAN
    lock.lock()
    defer { lock.unlock() }
    return try unsafe body(&state)
    #else
    return try mutex.withLock { (state) throws(Failure) in try body(&state) }
    #endif
  }
}
