internal import BloomBase
internal import CLibuv

/// One waiting task of ``EventLoop/sleep(for:)``.
@safe
private final class LoopTimer: LoopHandle, @unchecked Sendable {
  // @unchecked: touched on its loop only.
  private var isDone = false
  private var waiter: UnsafeContinuation<Void, Never>?

  init(_ loop: EventLoop, milliseconds: UInt64) {
    super.init()
    allocate(UV_TIMER)
    guard let timer = unsafe handle(uv_timer_t.self) else { return }
    unsafe UVCode.check(uv_timer_init(loop.uv, timer))
    unsafe uv_update_time(loop.uv)
    unsafe uv_timer_start(
      timer, { unsafe (LoopHandle.owner($0) as? LoopTimer)?.finish() }, milliseconds, 0)
  }

  func wait() async {
    await unsafe withUnsafeContinuation {
      if isDone { unsafe $0.resume() } else { unsafe waiter = $0 }
    }
  }

  func finish() {
    isDone = true
    closeHandle()
    let waiter = unsafe self.waiter
    unsafe self.waiter = nil
    unsafe waiter?.resume()
  }

  override func closeForStop() { finish() }
}

extension EventLoop {
  /// Suspends for a time on the loop's own timer: cheaper than `Task.sleep`, no other thread.
  ///
  /// - Parameter duration: Rounded up to a millisecond; nothing at all for zero and less.
  /// - Throws: `CancellationError` at once when the task is cancelled.
  @concurrent
  public func sleep(for duration: Duration) async throws {
    try await run {
      try Task.checkCancellation()
      let (seconds, attoseconds) = duration.components
      let milliseconds =
        seconds * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
      guard milliseconds > 0 else { return }
      let timer = LoopTimer(self, milliseconds: UInt64(milliseconds))
      await withTaskCancellationHandler {
        await timer.wait()
      } onCancel: {
        self.execute { timer.finish() }
      }
      try Task.checkCancellation()
    }
  }

  /// Runs an operation and cancels it when it takes longer than `duration`.
  ///
  /// - Parameters:
  ///   - duration: In steps of 100 ms, never early; `nil` for no limit.
  ///   - what: Names the wait in the error, for example `"no response from the server"`.
  /// - Throws: ``NetError/Code/timedOut`` when the time was up before the operation ended, and
  ///   whatever the operation throws.
  @concurrent
  package func withTimeout<R: Sendable>(
    _ duration: Duration?, _ what: String, _ body: @escaping @Sendable () async throws -> R
  ) async throws -> R {
    guard let duration else { return try await run(body) }
    return try await run {
      let task = Task(executorPreference: self) { try await body() }
      let alarm = Alarm(at: self.tick(after: duration)) { task.cancel() }
      self.schedule(alarm)
      defer { alarm.disarm() }
      do {
        return try await withTaskCancellationHandler {
          try await task.value
        } onCancel: {
          task.cancel()
        }
      } catch  where alarm.hasFired {
        throw NetError.timedOut(what)
      }
    }
  }
}

/// A deadline of the wheel that runs a closure once. Touched on its loop only.
final class Alarm: WheelEntry, @unchecked Sendable {
  // @unchecked: touched on its loop only.
  private var deadline: UInt64?
  private var action: (() -> Void)?
  private(set) var hasFired = false

  init(at tick: UInt64, _ action: @escaping () -> Void) {
    deadline = tick
    self.action = action
  }

  override var nextDeadline: UInt64? { deadline }

  override func expired(at tick: UInt64) {
    hasFired = true
    let action = self.action
    disarm()
    action?()
  }

  func disarm() {
    deadline = nil
    action = nil
  }
}
