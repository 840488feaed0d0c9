internal import BloomBase
internal import CLibuv
internal import CPlatform
internal import CTLS

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// One thread that runs libuv and every job of the tasks that live on it.
///
/// A connection is one `Task(executorPreference: loop)`: its handler runs on this thread, between
/// and inside libuv's callbacks, so no lock and no thread hop is needed to touch a socket.
/// Work that blocks or computes for more than a millisecond belongs on a `ThreadExecutor`.
@safe
public final class EventLoop: TaskExecutor, @unchecked Sendable {
  // @unchecked: all mutable state but `inbox` is touched on the loop's thread only.
  fileprivate enum Work: Sendable {
    case job(UnownedJob)
    case isolated(UnownedJob)
    case call(@Sendable () -> Void)
  }
  fileprivate struct Inbox: Sendable {
    var work: [Work] = []
    var isAsleep = false
    var isStopped = false
    // The thread is gone: what comes now is dropped, since it would keep the loop alive.
    var hasEnded = false
    // A stopping loop waits for senders in flight before it closes the wake-up handle.
    var wakers = 0
  }

  let uv = UnsafeMutablePointer<uv_loop_t>.allocate(capacity: 1)
  private let wakeup = UnsafeMutablePointer<uv_async_t>.allocate(capacity: 1)
  private let ticker = UnsafeMutablePointer<uv_timer_t>.allocate(capacity: 1)
  private let inbox = Locked(Inbox())
  private var ready: [Work] = []
  private var running: [Work] = []
  private var isTurning = false
  private var isClosing = false
  private var wheel = TimerWheel()
  private let name: String

  /// Where reads land; a view of it is valid until the next suspension.
  let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
  /// Where decrypted bytes land; a view of it is valid until the next suspension.
  let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
  /// Records that OpenSSL wants to send; always empty at a suspension.
  let records = UnsafeMutablePointer<ctls_buffer>.allocate(capacity: 1)

  /// The executor for actors that live on this loop.
  ///
  /// `nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.serial.asUnownedSerialExecutor() }`
  public let serial: Serial

  /// Makes the loop; ``start()`` runs it.
  ///
  /// - Parameter name: Shown by debuggers and `top`; cut at 15 bytes.
  init(name: String) {
    self.name = name
    serial = Serial()
    unsafe records.initialize(to: ctls_buffer())
    unsafe UVCode.check(uv_loop_init(uv))
    unsafe UVCode.check(uv_async_init(uv, wakeup, { _ in }))  // its only work is to end the poll
    unsafe UVCode.check(uv_timer_init(uv, ticker))
    unsafe ticker.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    unsafe uv.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    serial.loop = self
  }

  deinit {
    unsafe wakeup.deallocate()
    unsafe ticker.deallocate()
    unsafe uv.deallocate()
    unsafe scratch.deallocate()
    unsafe plain.deallocate()
    unsafe ctls_buffer_free(records)
    unsafe records.deallocate()
  }

  // MARK: Jobs

  /// Whether the caller runs on this loop's thread.
  public var isCurrent: Bool {
    unsafe ctls_current() == UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
  }

  /// Whether the caller's task runs on this loop's thread and comes back to it after each wait.
  ///
  /// The first alone is not enough: the runtime lets a task that leaves the loop go on upon its
  /// thread, be it in an actor, until it waits again; it comes back on another thread.
  var isHome: Bool {
    guard isCurrent else { return false }
    return unsafe withUnsafeCurrentTask {
      unsafe $0?.unownedTaskExecutor == asUnownedTaskExecutor()
    }
  }

  /// Traps unless called on this loop's thread.
  public func checkIsolated() { invariant(isCurrent, "not on the event loop") }

  /// The executor reference of task preferences.
  public func asUnownedTaskExecutor() -> UnownedTaskExecutor {
    unsafe UnownedTaskExecutor(ordinary: self)
  }

  /// Adds a task's job; safe from any thread.
  public func enqueue(_ job: consuming ExecutorJob) { submit(.job(UnownedJob(job))) }

  /// Runs a closure on the loop, later, in order with the jobs; safe from any thread.
  public func execute(_ body: @escaping @Sendable () -> Void) { submit(.call(body)) }

  /// Runs an operation on this loop, wherever the caller is; without a hop when it is here.
  @concurrent
  package func run<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
    if isHome { return try await body() }
    return try await withTaskExecutorPreference(self) { try await hop(body) }
  }

  /// The entry of a `@concurrent` function is where a task moves to its preferred executor.
  @concurrent
  private func hop<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
    // Also keeps the compiler from removing the move: it takes one that is followed by nothing
    // but an async call for redundant (6.3.1).
    checkIsolated()
    return try await body()
  }

  /// Runs the wait inside a cancellation handler on this loop.
  ///
  /// The standard library's handlers take `@concurrent` operations. At their start a task that
  /// does not prefer this loop, such as one in an actor that lives here, has left its thread.
  func wait(_ body: @Sendable () async -> Void) async {
    if isHome { return await body() }
    try? await run(body)  // the body does not throw
  }

  /// The serial role of a loop.
  ///
  /// A second object, because a job must run in the role it was enqueued in. One class in both
  /// roles runs a task's job "on an actor", and then every async call is a new job.
  public final class Serial: SerialExecutor, @unchecked Sendable {
    // @unchecked: set once, before the loop is published.
    fileprivate weak var loop: EventLoop?

    fileprivate init() {}

    /// Adds an actor's job; safe from any thread.
    public func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      loop?.submit(.isolated(job))
    }

    /// The executor reference of actors.
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
      unsafe UnownedSerialExecutor(ordinary: self)
    }

    /// Traps unless called on the loop's thread.
    public func checkIsolated() { loop?.checkIsolated() }
  }

  fileprivate func submit(_ work: Work) {
    if isCurrent {
      ready.append(work)  // no lock, no system call
      return
    }
    let mustWake = inbox.withLock { state in
      if state.hasEnded { return false }
      state.work.append(work)
      guard state.isAsleep else { return false }
      state.isAsleep = false
      state.wakers += 1
      return true
    }
    guard mustWake else { return }
    unsafe uv_async_send(wakeup)  // outside the lock: the woken thread takes it at once
    inbox.withLock { $0.wakers -= 1 }
  }

  /// Runs what is ready now; what that makes ready waits for the next turn.
  ///
  /// Called by callbacks of libuv, so that a woken reader sees its bytes in place.
  @discardableResult func turn() -> Bool {
    if ready.isEmpty || isTurning { return false }
    isTurning = true
    swap(&ready, &running)
    let executor = unsafe asUnownedTaskExecutor()
    for work in running {
      switch work {
      case .job(let job): unsafe job.runSynchronously(on: executor)
      case .isolated(let job):
        unsafe job.runSynchronously(
          isolatedTo: serial.asUnownedSerialExecutor(), taskExecutor: executor)
      case .call(let body): body()
      }
    }
    running.removeAll(keepingCapacity: true)
    isTurning = false
    return true
  }

  // MARK: The thread

  /// Starts the thread.
  ///
  /// The loop lives until ``stop()``.
  func start() {
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    unsafe pthread_attr_setstacksize(&attributes, 4 << 20)  // macOS gives 512 KiB
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    #if canImport(Glibc)
    var thread = pthread_t()
    #else
    var thread: pthread_t?
    #endif
    let code = unsafe pthread_create(
      &thread, &attributes,
      { argument in
        #if canImport(Glibc)
        guard let raw = unsafe argument else { return nil }
        #else
        let raw = unsafe argument
        #endif
        unsafe Unmanaged<EventLoop>.fromOpaque(raw).takeRetainedValue().runThread()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    unsafe pthread_attr_destroy(&attributes)
    invariant(code == 0, "pthread_create failed with \(code)")
  }

  /// Closes every handle and ends the thread; safe from any thread.
  ///
  /// Waiting readers and writers wake with an error. Jobs that come after the end are lost: stop
  /// only when the tasks of the loop have ended, or nobody waits for them.
  package func stop() {
    execute { self.closeAll() }
    inbox.withLock { $0.isStopped = true }
    execute {}
  }

  private func runThread() {
    unsafe cplatform_name_thread(name)
    unsafe ctls_set_current(Unmanaged.passUnretained(self).toOpaque())
    while true {
      let mayBlock = runReadyJobs()
      if !mayBlock, ready.isEmpty, inbox.withLock({ $0.isStopped && $0.work.isEmpty }) { break }
      unsafe uv_run(uv, mayBlock ? UV_RUN_ONCE : UV_RUN_NOWAIT)
      if mayBlock { inbox.withLock { $0.isAsleep = false } }
    }
    closeAll()
    while unsafe uv_loop_alive(uv) != 0 || !ready.isEmpty {
      while turn() {}
      if inbox.withLock({ $0.wakers == 0 }) { closeWakeup() }
      unsafe uv_run(uv, UV_RUN_NOWAIT)
    }
    unsafe UVCode.check(uv_loop_close(uv))
    let dropped = inbox.withLock { state in
      state.hasEnded = true
      defer { state.work = [] }
      return state.work
    }
    _ = dropped  // released outside the lock: closures may own anything
    ctls_set_current(nil)
  }

  /// Whether the loop may sleep now.
  private func runReadyJobs() -> Bool {
    for _ in 0..<64 {  // then the sockets get their turn
      if ready.isEmpty { inbox.withLock { state in swap(&state.work, &ready) } }
      if !turn() { break }
    }
    return inbox.withLock { state in
      state.isAsleep = ready.isEmpty && state.work.isEmpty && !state.isStopped
      return state.isAsleep
    }
  }

  /// Sockets, listeners, children and timers close themselves; the loop's own handles end later.
  private func closeAll() {
    guard !isClosing else { return }
    isClosing = true
    unsafe uv_walk(
      uv,
      { handle, _ in
        guard let handle = unsafe handle, unsafe uv_is_closing(handle) == 0 else { return }
        unsafe LoopHandle.owner(of: handle)?.closeForStop()
      }, nil)
    unsafe uv_close(UnsafeMutableRawPointer(ticker).assumingMemoryBound(to: uv_handle_t.self), nil)
    wheel = TimerWheel()
  }

  private func closeWakeup() {
    let handle = unsafe UnsafeMutableRawPointer(wakeup).assumingMemoryBound(to: uv_handle_t.self)
    if unsafe uv_is_closing(handle) == 0 { unsafe uv_close(handle, nil) }
  }

  // MARK: Time

  /// Milliseconds of the loop's clock, as of the start of this turn.
  var milliseconds: UInt64 { unsafe uv_now(uv) }

  /// Ten a second: the unit of every time-out of connections.
  var tick: UInt64 { milliseconds / 100 }

  /// The tick at which a time-out that starts now has passed; never early.
  func tick(after duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    let tenths = max(0, seconds) * 10 + attoseconds / 100_000_000_000_000_000
    return tick + UInt64(max(1, tenths)) + 1
  }

  /// Makes sure that an entry's deadline is met.
  func schedule(_ entry: WheelEntry) {
    guard !isClosing else { return }
    if wheel.count == 0 {
      wheel.jump(to: tick)
      unsafe uv_timer_start(
        ticker,
        { handle in
          guard let data = unsafe handle?.pointee.data else { return }
          unsafe Unmanaged<EventLoop>.fromOpaque(data).takeUnretainedValue().didTick()
        }, 100, 100)
    }
    wheel.schedule(entry)
  }

  private func didTick() {
    let tick = self.tick
    for entry in wheel.advance(to: tick) {
      entry.expired(at: tick)
      wheel.schedule(entry)
    }
    if wheel.count == 0 { unsafe uv_timer_stop(ticker) }
    turn()
  }
}
