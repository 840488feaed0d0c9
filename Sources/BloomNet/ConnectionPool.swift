internal import BloomBase

/// Kept connections by place, and the turn of requests beyond the limit.
///
/// Safe from any thread.
final class ConnectionPool: Sendable {
  private struct Entry: Sendable {
    var idle: [ClientConnection] = []
    var open = 0
    var waiters: [(id: Int, continuation: CheckedContinuation<Grant, Never>)] = []
  }
  private enum Grant: Sendable {
    case kept(ClientConnection)
    case open
    case closed
    case cancelled
    case full
  }
  private struct State: Sendable {
    var entries: [HTTPClient.Place: Entry] = [:]
    var isClosed = false
    var nextWaiter = 0

    /// What a request gets at once; `nil` when it has to wait its turn.
    mutating func grant(_ place: HTTPClient.Place, maxOpen: Int, maxWaiting: Int) -> Grant? {
      if isClosed { return .closed }
      var entry = entries[place] ?? Entry()
      defer { entries[place] = entry }
      if let kept = entry.idle.popLast() { return .kept(kept) }
      if entry.open < maxOpen {
        entry.open += 1
        return .open
      }
      return entry.waiters.count < maxWaiting ? nil : .full
    }
  }

  private let state = Locked(State())
  private let maxIdle: Int
  private let maxOpen: Int
  private let maxWaiting: Int
  private let turnTimeout: Duration

  init(maxIdle: Int, maxOpen: Int, maxWaiting: Int, turnTimeout: Duration) {
    self.maxIdle = maxIdle
    self.maxOpen = max(1, maxOpen)
    self.maxWaiting = max(0, maxWaiting)
    self.turnTimeout = turnTimeout
  }

  /// A kept connection, or `nil` as leave to open one; then ``giveUp(_:)`` or the connection's end
  /// must follow.
  ///
  /// Waits while too many are open, on `loop` and no longer than the time-out.
  func checkOut(
    _ place: HTTPClient.Place, on loop: EventLoop
  ) async throws -> ClientConnection? {
    try Task.checkCancellation()
    let now = state.withLock { $0.grant(place, maxOpen: maxOpen, maxWaiting: maxWaiting) }
    if let now { return try Self.connection(of: now) }
    // The time-out cancels the wait. Either that or a grant takes the waiter out of the line, so
    // a grant that comes too late is the next one's, and one that came in time is used.
    return try await loop.withTimeout(
      turnTimeout,
      "every connection to the server stayed in use: send fewer requests at once, or raise "
        + "maxConnectionsPerHost"
    ) {
      try Self.connection(of: await self.waitForTurn(place))
    }
  }

  private static func connection(of grant: Grant) throws -> ClientConnection? {
    switch grant {
    case .kept(let connection): return connection
    case .open: return nil
    case .closed: throw NetError(.closed, "the HTTP client was closed")
    case .cancelled: throw CancellationError()
    case .full:
      throw NetError(
        .busy,
        "too many requests wait for a connection to the server: send fewer at once, or raise "
          + "maxConnectionsPerHost or maxWaitingPerHost")
    }
  }

  private func waitForTurn(_ place: HTTPClient.Place) async -> Grant {
    let id = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let grant: Grant? = state.withLock { state in
          if Task.isCancelled { return .cancelled }
          let now = state.grant(place, maxOpen: maxOpen, maxWaiting: maxWaiting)
          if now == nil { state.entries[place]?.waiters.append((id, continuation)) }
          return now
        }
        if let grant { continuation.resume(returning: grant) }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        let index = state.entries[place]?.waiters.firstIndex { $0.id == id }
        return index.flatMap { state.entries[place]?.waiters.remove(at: $0) }
      }
      waiter?.continuation.resume(returning: .cancelled)
    }
  }

  /// Takes back a connection whose response has ended; `false` when it must be closed.
  func checkIn(_ connection: ClientConnection) -> Bool {
    let (isKept, waiter) = state.withLock {
      state -> (Bool, CheckedContinuation<Grant, Never>?) in
      guard !state.isClosed, var entry = state.entries[connection.place] else {
        return (false, nil)
      }
      defer { state.entries[connection.place] = entry }
      if !entry.waiters.isEmpty { return (true, entry.waiters.removeFirst().continuation) }
      guard entry.idle.count < maxIdle else { return (false, nil) }
      entry.idle.append(connection)
      return (true, nil)
    }
    waiter?.resume(returning: .kept(connection))
    return isKept
  }

  /// A connection has ended, used or not.
  func didClose(_ connection: ClientConnection) {
    state.withLock { $0.entries[connection.place]?.idle.removeAll { $0 === connection } }
    giveUp(connection.place)
  }

  /// The leave to open one is not used any more.
  func giveUp(_ place: HTTPClient.Place) {
    let waiter = state.withLock { state -> CheckedContinuation<Grant, Never>? in
      guard var entry = state.entries[place] else { return nil }
      if !entry.waiters.isEmpty {
        let first = entry.waiters.removeFirst().continuation
        state.entries[place] = entry
        return first  // the leave goes on to the first in line
      }
      entry.open -= 1
      state.entries[place] = entry.open == 0 && entry.idle.isEmpty ? nil : entry
      return nil
    }
    waiter?.resume(returning: .open)
  }

  func close() {
    let (idle, waiters) = state.withLock {
      state -> ([ClientConnection], [CheckedContinuation<Grant, Never>]) in
      state.isClosed = true
      let entries = state.entries.values
      let idle = entries.flatMap(\.idle)
      let waiters = entries.flatMap { $0.waiters.map(\.continuation) }
      for place in state.entries.keys { state.entries[place]?.waiters = [] }
      return (idle, waiters)
    }
    for waiter in waiters { waiter.resume(returning: .closed) }
    for connection in idle { connection.loop.execute { connection.close() } }
  }
}
