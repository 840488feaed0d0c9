internal import BloomBase
internal import BloomPlatform
package import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Writes events to the agent and gives the signs of life, on a thread of its own.
///
/// Control goes before sealed bytes. The queue is bounded by the agent's credit and the number of
/// streams, so adding never waits. While there is work a beat leaves at least every 50 ms: nothing
/// but the agent's own reading can hold it up.
package final class Outbox: Sendable {
  /// Milliseconds between two beats.
  package enum Limits: Sendable {
    /// While there is work; half of what is promised.
    package static let busyBeat: Int32 = 25
    /// While there is none.
    package static let idleBeat: Int32 = 1_000
  }

  private struct State: Sendable {
    var control: [[UInt8]] = []
    var data: [[UInt8]] = []
    var isClosed = false
    var isBusy = false
  }

  private let state = Locked(State())
  private let descriptor: Int32
  private let wakeRead: Int32
  private let wakeWrite: Int32
  private let beat: @Sendable () -> WorkerEvent
  private let loop = Loop()

  /// Starts no thread yet; ``run()`` does.
  ///
  /// - Parameters:
  ///   - descriptor: The agent's; stays the caller's.
  ///   - beat: The next sign of life; called from the writing thread, must be quick.
  /// - Throws: ``WorkerError`` when the system gives no pipe.
  package init(
    descriptor: Int32, beat: @escaping @Sendable () -> WorkerEvent
  ) throws(WorkerError) {
    // An agent that is gone must be an error of write(2), not the death of the process.
    signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = [0, 0]
    guard unsafe pipe(&ends) == 0 else { throw WorkerError(.channel, "no pipe to wake the writer") }
    (wakeRead, wakeWrite) = (ends[0], ends[1])
    self.descriptor = descriptor
    self.beat = beat
  }

  deinit {
    close(wakeRead)
    close(wakeWrite)
  }

  /// Adds an event; safe from any thread, never waits.
  ///
  /// Events after ``finish()`` are dropped.
  package func send(_ event: WorkerEvent) {
    let message = LengthFraming.framed(event.encoded)
    let isWaiting = state.withLock { state in
      if state.isClosed { return false }
      let wasEmpty = state.control.isEmpty && state.data.isEmpty
      if case .chunk = event {
        state.data.append(message)
      } else if Self.followsData(event) {
        state.data.append(message)
      } else {
        state.control.append(message)
      }
      return wasEmpty
    }
    if isWaiting { wake() }
  }

  /// Says whether there is work, and so how often a beat is due; safe from any thread.
  package func setBusy(_ isBusy: Bool) {
    let hasBegun = state.withLock { state in
      defer { state.isBusy = isBusy }
      return isBusy && !state.isBusy
    }
    if hasBegun { wake() }
  }

  /// Ends ``run()`` once everything added is written.
  package func finish() {
    state.withLock { $0.isClosed = true }
    wake()
  }

  /// Writes until ``finish()``.
  ///
  /// - Throws: ``WorkerError`` `channel` when the agent is gone.
  package func run() async throws(WorkerError) { try await loop.run(self) }

  /// What ends a stream must not overtake the stream's bytes.
  private static func followsData(_ event: WorkerEvent) -> Bool {
    switch event {
    case .done, .handback, .receipt, .failed: true
    case .progress, .ready, .keys, .beat, .accept, .refuse, .chunk, .capacity: false
    }
  }

  private func wake() {
    // A full pipe is a wake-up too, so a failure changes nothing.
    try? Self.write([0], to: wakeWrite)
  }

  fileprivate func writeUntilFinished() throws(WorkerError) {
    var lastBeat = SystemTime().now()
    while true {
      let (control, data, isClosed, isBusy) = state.withLock { state in
        // One data message at a time, so that control waits for 64 KiB at most.
        let data = state.data.isEmpty ? nil : state.data.removeFirst()
        defer { state.control = [] }
        return (state.control, data, state.isClosed, state.isBusy)
      }
      for message in control { try put(message) }
      if let data { try put(data) }
      let now = SystemTime().now()
      let interval = isBusy ? Limits.busyBeat : Limits.idleBeat
      if now - lastBeat >= .milliseconds(Int(interval)) {
        try put(LengthFraming.framed(beat().encoded))
        lastBeat = now
      }
      if control.isEmpty, data == nil {
        if isClosed { return }
        waitForWork(interval)
      }
    }
  }

  private func waitForWork(_ milliseconds: Int32) {
    var entry = pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&entry, 1, milliseconds) > 0 else { return }
    var bytes = [UInt8](repeating: 0, count: 256)
    _ = unsafe read(wakeRead, &bytes, bytes.count)
  }

  private func put(_ message: [UInt8]) throws(WorkerError) {
    try Self.write(message, to: descriptor)
  }

  /// Writes a framed message on the calling thread: for events before the outbox exists.
  package static func write(_ message: [UInt8], to descriptor: Int32) throws(WorkerError) {
    var done = 0
    while done < message.count {
      let count = unsafe message[done...].withUnsafeBytes { bytes in
        #if canImport(Glibc)
        unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #else
        unsafe Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
      }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw WorkerError(.channel, "writing gave error \(errno)")
      }
    }
  }

  private actor Loop {
    private let executor = ThreadExecutor(name: "channel-writer")
    nonisolated var unownedExecutor: UnownedSerialExecutor {
      unsafe executor.asUnownedSerialExecutor()
    }
    deinit { executor.stop() }
    func run(_ outbox: Outbox) throws(WorkerError) { try outbox.writeUntilFinished() }
  }
}
