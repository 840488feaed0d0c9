internal import BloomBase

/// Kept connections by place, and the turn of requests beyond the limit. Safe from any thread.
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
  }
  private struct State: Sendable {
    var entries: [HTTPClient.Place: Entry] = [:]
    var isClosed = false
    var nextWaiter = 0
  }

  private let state = Locked(State())
  private let maxIdle: Int
  private let maxOpen: Int

  init(maxIdle: Int, maxOpen: Int) {
    self.maxIdle = maxIdle
    self.maxOpen = max(1, maxOpen)
  }

  /// A kept connection, or `nil` as leave to open one; then ``giveUp(_:)`` or the connection's end
  /// must follow. Waits while too many are open.
  func checkOut(_ place: HTTPClient.Place) async throws -> ClientConnection? {
    let id = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    let grant: Grant = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let grant: Grant? = state.withLock { state in
          if state.isClosed { return .closed }
          if Task.isCancelled { return .cancelled }
          var entry = state.entries[place] ?? Entry()
          defer { state.entries[place] = entry }
          if let kept = entry.idle.popLast() { return .kept(kept) }
          if entry.open < maxOpen {
            entry.open += 1
            return .open
          }
          entry.waiters.append((id, continuation))
          return nil
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
    switch grant {
    case .kept(let connection): return connection
    case .open: return nil
    case .closed: throw NetError(.closed, "the HTTP client was closed")
    case .cancelled: throw CancellationError()
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
