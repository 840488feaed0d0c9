internal import BloomBase
internal import CTLS

/// A two-way stream of bytes on one loop: a socket, a pipe or one end of a memory pair.
///
/// This class holds what they share: waiting readers and writers, TLS, deadlines. Subclasses move
/// bytes. Every method must run on the loop; callers elsewhere go through ``EventLoop/run(_:)``.
@safe
package class ByteStream: @unchecked Sendable {
  // @unchecked: touched on `loop` only.
  package final let loop: EventLoop
  /// The other end.
  package final var peer: SocketAddress = .memory

  private var tls: TLSSession?
  /// What TLS proved; set by ``startTLS(_:name:timeout:)``.
  package private(set) final var tlsInfo: TLSInfo?

  // Input. `arrived` lies in the loop's scratch, and is empty outside `didReceive`.
  private var arrived = unsafe UnsafeBufferPointer<UInt8>(start: nil, count: 0)
  private var keptCipher: [UInt8] = []
  private var kept: [UInt8] = []
  private var keptOffset = 0
  private var reader: UnsafeContinuation<Void, Never>?
  private var isReading = false
  private var isEnded = false
  private var failure: NetError?

  // Output.
  private var writer: UnsafeContinuation<Void, Never>?
  private var turnstile = unsafe [UnsafeContinuation<Void, Never>]()
  private var isWriting = false
  private var isWritePending = false
  private var budget = NetLimits.yieldBytes

  private lazy var deadlines = StreamDeadlines(self)
  /// For the peer to take what was written; `nil` for no limit.
  package final var writeTimeout: Duration?
  /// Called once when the peer has left while nobody reads.
  package final var onPeerLeft: (() -> Void)?
  /// Called once when the stream was closed, by whom ever.
  package final var onClose: (() -> Void)?
  package private(set) final var isClosed = false

  init(_ loop: EventLoop) {
    self.loop = loop
    loop.checkIsolated()
  }

  // MARK: For subclasses to implement

  /// Starts or goes on to deliver input through ``didReceive(_:)``.
  func startInput() throws(NetError) {}
  /// Stops to deliver input; the peer is then held back.
  func stopInput() {}
  /// Sends bytes, keeping a copy of what cannot go at once.
  ///
  /// - Returns: `false` when some are left; ``didSend(_:)`` follows.
  func send(_ bytes: UnsafeRawBufferPointer) throws(NetError) -> Bool { true }
  /// Says that nothing more will be sent; later output is an error.
  func endOutput() {}
  /// Gives up the transport.
  func closeTransport() {}

  // MARK: Reading

  /// Gives the bytes that are there to `body`, waiting for the first.
  ///
  /// - Parameter body: Takes bytes from the front and says how many, at least one. What it leaves
  ///   comes again. It must not touch this stream.
  /// - Returns: `false` at the end of the stream.
  /// - Throws: ``NetError``, `CancellationError`, or what `body` throws.
  package final func read(_ body: (Span<UInt8>) throws -> Int) async throws -> Bool {
    while true {
      if let isOpen = try readNow(body) { return isOpen }
      try await waitForInput()
    }
  }

  /// The same for the task that owns the stream: who cancels it also calls ``interrupt()``.
  ///
  /// Saves the cancellation handler, which costs more than the read itself.
  final func readAsOwner(_ body: (Span<UInt8>) throws -> Int) async throws -> Bool {
    while true {
      if let isOpen = try readNow(body) { return isOpen }
      try prepareToWait()
      await arrival()
      try checkAfterWait()
    }
  }

  /// Makes the waiting reader look whether its task was cancelled.
  final func interrupt() { wakeReader() }

  /// The same without waiting; `nil` when nothing is there.
  package final func readNow(_ body: (Span<UInt8>) throws -> Int) throws -> Bool? {
    if keptOffset < kept.count {
      keptOffset += try body(kept.span.extracting(keptOffset..<kept.count))
      if keptOffset >= kept.count {
        kept = []
        keptOffset = 0
      }
      return true
    }
    if let tls {
      let count = try decrypt(tls)
      if count > 0 {
        let all = unsafe UnsafeRawBufferPointer(rebasing: loop.plain[..<count])
        let bytes = unsafe all.bindMemory(to: UInt8.self)
        let taken = try body(unsafe bytes.span)
        if taken < count { kept = unsafe Array(bytes[taken...]) }
        return true
      }
    } else if unsafe arrived.count > 0 {
      let taken = try body(unsafe arrived.span)
      unsafe arrived = UnsafeBufferPointer(rebasing: arrived[taken...])
      return true
    }
    if let failure { throw failure }
    return isEnded ? false : nil
  }

  /// Whether input is there that ``read(_:)`` would give at once.
  package final var hasInput: Bool {
    unsafe arrived.count > 0 || !kept.isEmpty || !keptCipher.isEmpty
      || (tls?.hasPending ?? false)
  }

  private func prepareToWait() throws {
    if isClosed { throw failure ?? NetError.closed }
    try Task.checkCancellation()
    if !isReading {
      try startInput()
      isReading = true
    }
    unsafe invariant(reader == nil, "two tasks read one stream")
  }

  private func checkAfterWait() throws {
    try Task.checkCancellation()
    if isClosed { throw failure ?? NetError.closed }
  }

  private func arrival() async {
    await unsafe withUnsafeContinuation { continuation in
      // An await before may have let callbacks run: look again.
      if hasInput || isEnded || failure != nil || isClosed {
        unsafe continuation.resume()
      } else {
        unsafe reader = continuation
      }
    }
  }

  private func waitForInput() async throws {
    try prepareToWait()
    await withTaskCancellationHandler {
      await loop.wait { await self.arrival() }
    } onCancel: {
      loop.execute { self.wakeReader() }
    }
    try checkAfterWait()
  }

  private func wakeReader() {
    guard let waiting = unsafe reader else { return }
    unsafe reader = nil
    unsafe waiting.resume()
  }

  /// Bytes came, in the loop's scratch.
  ///
  /// The waiting reader runs inside this call.
  final func didReceive(_ bytes: UnsafeBufferPointer<UInt8>) {
    unsafe arrived = bytes
    let mayRunHere = unsafe reader != nil
    wakeReader()
    var turns = 0
    if mayRunHere { while turns < 4, loop.turn(), unsafe arrived.count > 0 { turns += 1 } }
    guard unsafe arrived.count > 0 else { return }
    // Nobody took them: keep a copy, and let the kernel's window fill.
    if let tls {
      unsafe keptCipher.append(contentsOf: arrived)
      unsafe arrived = UnsafeBufferPointer(start: nil, count: 0)
      lookForEnd(tls)
    } else {
      unsafe kept.append(contentsOf: arrived)
      unsafe arrived = UnsafeBufferPointer(start: nil, count: 0)
      pauseInput()
    }
  }

  /// Bytes came that are ours already.
  ///
  /// The waiting reader runs later.
  final func didReceive(copy bytes: [UInt8]) {
    if tls != nil { keptCipher += bytes } else { kept += bytes }
    let isAwaited = unsafe reader != nil
    wakeReader()
    if !isAwaited { pauseInput() }
  }

  /// The stream ended, in order when `error` is `nil`.
  final func didEnd(_ error: NetError?) {
    if let error { failure = failure ?? error } else { isEnded = true }
    pauseInput()
    if unsafe reader == nil { peerLeft() }
    wakeReader()
    loop.turn()
  }

  private func peerLeft() {
    let action = onPeerLeft
    onPeerLeft = nil
    action?()
  }

  private func pauseInput() {
    guard isReading else { return }
    isReading = false
    stopInput()
  }

  // MARK: Writing

  /// Returns when the kernel has taken all bytes; suspends while it does not.
  ///
  /// One writer at a time, in order of arrival. A cancelled write leaves half a message behind,
  /// so the stream is closed then.
  /// - Throws: ``NetError`` or `CancellationError`.
  package final func write(_ bytes: [UInt8]) async throws {
    if isWriting {
      await unsafe withUnsafeContinuation { unsafe turnstile.append($0) }
    }
    isWriting = true
    defer {
      if unsafe turnstile.isEmpty {
        isWriting = false
      } else {
        unsafe turnstile.removeFirst().resume()  // handed over: isWriting stays true
      }
    }
    try Task.checkCancellation()
    if isClosed || isWritePending { throw failure ?? NetError.closed }
    var offset = 0
    while offset < bytes.count {
      let isDone: Bool
      if let tls {
        offset += try encrypt(tls, bytes, from: offset)
        isDone = try flushRecords(isAwaited: true)
      } else {
        let end = min(bytes.count, offset + NetLimits.writeStepBytes)
        isDone = try unsafe bytes.withUnsafeBytes { raw throws(NetError) in
          try unsafe sendNow(UnsafeRawBufferPointer(rebasing: raw[offset..<end]), isAwaited: true)
        }
        offset = end
      }
      if !isDone { try await waitForWrite() }
    }
  }

  /// A fairness budget: `true` once every 32 KiB; the caller then yields.
  package final func spend(_ count: Int) -> Bool {
    budget -= count
    if budget > 0 { return false }
    budget = NetLimits.yieldBytes
    return true
  }

  private func sendNow(
    _ bytes: UnsafeRawBufferPointer, isAwaited: Bool
  ) throws(NetError) -> Bool {
    if isClosed { throw failure ?? NetError.closed }
    do throws(NetError) {
      let isDone = try unsafe send(bytes)
      if !isDone, isAwaited { isWritePending = true }
      return isDone
    } catch {
      failure = failure ?? error
      throw error
    }
  }

  /// A send that was not done at once is done, or has failed.
  final func didSend(_ error: NetError?) {
    if let error { failure = failure ?? error }
    isWritePending = false
    let waiting = unsafe writer
    unsafe writer = nil
    unsafe waiting?.resume()
    loop.turn()
  }

  private func waitForWrite() async throws {
    if let writeTimeout { setDeadline(.write, after: writeTimeout) }
    await withTaskCancellationHandler {
      await loop.wait { await self.departure() }
    } onCancel: {
      loop.execute { if self.isWritePending { self.close() } }
    }
    clearDeadline(.write)
    if isClosed, Task.isCancelled { throw CancellationError() }
    if let failure { throw failure }
    if isClosed { throw NetError.closed }
  }

  private func departure() async {
    await unsafe withUnsafeContinuation { continuation in
      if isWritePending { unsafe writer = continuation } else { unsafe continuation.resume() }
    }
  }

  // MARK: TLS

  /// Makes the handshake; the stream is encrypted from then on.
  ///
  /// - Parameters:
  ///   - context: Certificates and rules.
  ///   - name: The server's host for a client; `nil` for a server.
  ///   - timeout: For the whole handshake.
  /// - Throws: ``NetError/Code/tlsFailed`` with the reason, or a time-out.
  func startTLS(_ context: TLSContext, name: String?, timeout: Duration?) async throws {
    let tls = try TLSSession(context, name: name, on: loop)
    self.tls = tls
    // What came before belongs to the handshake.
    keptCipher = Array(kept[keptOffset...])
    kept = []
    keptOffset = 0
    if let timeout { setDeadline(.read("no TLS handshake"), after: timeout) }
    defer { clearDeadline(.read("")) }
    while true {
      let outcome = feeding(tls) { $0.handshake() }
      _ = try flushRecords(isAwaited: false)
      switch outcome {
      case .count:
        try tls.checkPins()
        tlsInfo = tls.info()
        return
      case .again: break
      case .end, .failed: throw tls.failure()
      }
      if let failure { throw failure }
      if isEnded { throw NetError(.tlsFailed, "the peer ended the TLS handshake") }
      try await waitForInput()
    }
  }

  /// Lends OpenSSL the ciphertext at hand, and takes back what it did not use.
  private func feeding(_ tls: TLSSession, _ body: (TLSSession) -> TLSSession.Outcome)
    -> TLSSession.Outcome
  {
    if !keptCipher.isEmpty {
      unsafe keptCipher.append(contentsOf: arrived)
      unsafe arrived = UnsafeBufferPointer(start: nil, count: 0)
      let (outcome, left) = unsafe keptCipher.withUnsafeBufferPointer {
        unsafe tls.feeding($0, body)
      }
      keptCipher = left == 0 ? [] : Array(keptCipher.suffix(left))
      return outcome
    }
    let input = unsafe arrived
    let (outcome, left) = unsafe tls.feeding(input, body)
    unsafe arrived = UnsafeBufferPointer(rebasing: input[(input.count - left)...])
    return outcome
  }

  /// Decrypts what is there into the loop's plain buffer; the count, 0 when nothing came out.
  private func decrypt(_ tls: TLSSession) throws(NetError) -> Int {
    if unsafe arrived.count == 0 && keptCipher.isEmpty && !tls.hasPending { return 0 }
    let plain = unsafe loop.plain
    let outcome = feeding(tls) { unsafe $0.read(into: plain) }
    // A key update or a late handshake message may want an answer.
    _ = try flushRecords(isAwaited: false)
    switch outcome {
    case .count(let count): return count
    case .again: return 0
    case .end:
      isEnded = true
      return 0
    case .failed:
      let error = tls.failure()
      failure = failure ?? error
      throw error
    }
  }

  /// Nobody reads: decrypt once, so that the end of the stream is seen all the same.
  private func lookForEnd(_ tls: TLSSession) {
    guard kept.isEmpty, let count = try? decrypt(tls) else { return pauseInput() }
    if count > 0 {
      kept = unsafe Array(loop.plain[..<count])
      pauseInput()
    } else if isEnded {
      pauseInput()
      peerLeft()
    }
  }

  private func encrypt(
    _ tls: TLSSession, _ bytes: [UInt8], from offset: Int
  ) throws(NetError) -> Int {
    let end = min(bytes.count, offset + NetLimits.tlsStepBytes)
    let outcome = unsafe bytes.withUnsafeBytes {
      unsafe tls.write(UnsafeRawBufferPointer(rebasing: $0[offset..<end]))
    }
    guard case .count(let count) = outcome else { throw failure ?? tls.failure() }
    return count
  }

  private func flushRecords(isAwaited: Bool) throws(NetError) -> Bool {
    let records = unsafe loop.records
    let count = unsafe records.pointee.count
    guard count > 0 else { return true }
    defer { unsafe records.pointee.count = 0 }
    return try unsafe sendNow(
      UnsafeRawBufferPointer(start: records.pointee.bytes, count: count), isAwaited: isAwaited)
  }

  // MARK: Deadlines

  /// Fails the stream unless it is moved or cleared in time.
  final func setDeadline(_ kind: StreamDeadlines.Kind, after duration: Duration) {
    deadlines.set(kind, at: loop.tick(after: duration))
    loop.schedule(deadlines)
  }

  /// Forgets a deadline.
  final func clearDeadline(_ kind: StreamDeadlines.Kind) { deadlines.clear(kind) }

  // MARK: Closing

  /// Closes with an error that waiting readers and writers get.
  package final func fail(_ error: NetError) {
    failure = failure ?? error
    close()
  }

  /// Closes now.
  ///
  /// Waiting readers and writers wake with an error; safe to call twice.
  package final func close() {
    loop.checkIsolated()
    guard !isClosed else { return }
    if let tls, failure == nil {
      tls.shutdown()
      if !isWritePending { _ = try? flushRecords(isAwaited: false) }  // best effort at the end
      unsafe loop.records.pointee.count = 0
    }
    tls = nil
    isClosed = true
    pauseInput()
    isWritePending = false
    onPeerLeft = nil
    deadlines.clearAll()
    wakeReader()
    let waiting = unsafe writer
    unsafe writer = nil
    unsafe waiting?.resume()
    closeTransport()
    let action = onClose
    onClose = nil
    action?()
  }

  /// Ends the output, skips what the peer still sends for a while, and closes.
  ///
  /// Closing with unread input makes the kernel reset the connection, which may destroy the last
  /// response on its way to the peer.
  package final func closeGently() async {
    guard !isClosed else { return }
    if let tls {
      tls.shutdown()
      _ = try? flushRecords(isAwaited: false)  // the peer may be gone
      self.tls = nil
      keptCipher = []
    }
    endOutput()
    setDeadline(.read("lingering close"), after: NetLimits.lingerTime)
    var skipped = 0
    while skipped < NetLimits.lingerBytes {
      let isOpen = try? await read { bytes in
        skipped += bytes.count
        return bytes.count
      }
      if isOpen != true { break }  // ended, failed or timed out: nothing to protect any more
    }
    close()
  }
}
