internal import BloomBase
internal import CPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Runs an actor's jobs in order on one named thread of its own.
///
/// For work that blocks or computes for longer than a millisecond, which must not hold a thread
/// of the cooperative pool. A job enqueued after ``stop()`` is lost and its caller hangs: stop
/// only after the actor's last call.
@safe
public final class ThreadExecutor: SerialExecutor, @unchecked Sendable {
  // @unchecked: `jobs`, `isStopped` and `threadID` are touched with `mutex` held only.
  private var jobs: [UnownedJob] = []
  private var isStopped = false
  private var threadID: UInt = 0
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let name: String

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - name: Shown by debuggers and `top`; cut at 15 bytes.
  ///   - stackBytes: Stack of the thread; the default suits parsers that recurse.
  public init(name: String, stackBytes: Int = 8 << 20) {
    self.name = name
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(wake, nil)
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    unsafe pthread_attr_setstacksize(&attributes, stackBytes)
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
        unsafe Unmanaged<ThreadExecutor>.fromOpaque(raw).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    unsafe pthread_attr_destroy(&attributes)
    invariant(code == 0, "pthread_create failed with \(code)")
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe pthread_cond_destroy(wake)
    unsafe mutex.deallocate()
    unsafe wake.deallocate()
  }

  /// Adds a job; safe from any thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    locked { jobs.append(job) }
    unsafe pthread_cond_signal(wake)
  }

  /// Ends the thread after the jobs already enqueued; safe from any thread.
  public func stop() {
    locked { isStopped = true }
    unsafe pthread_cond_signal(wake)
  }

  /// Whether the caller runs on this executor's thread.
  public var isCurrent: Bool { locked { threadID } == cplatform_thread_id() }

  /// Traps unless called on this executor's thread.
  public func checkIsolated() { invariant(isCurrent, "not on the thread of \(name)") }

  private func locked<R>(_ body: () -> R) -> R {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return body()
  }

  private func run() {
    unsafe cplatform_name_thread(name)
    locked { threadID = cplatform_thread_id() }
    var batch: [UnownedJob] = []
    while true {
      let isLast = locked {
        while jobs.isEmpty && !isStopped { unsafe pthread_cond_wait(wake, mutex) }
        swap(&jobs, &batch)
        return isStopped && batch.isEmpty
      }
      if isLast { return }
      for job in batch { unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
      batch.removeAll(keepingCapacity: true)
    }
  }
}
