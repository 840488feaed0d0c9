internal import BloomBase

/// In which order and when addresses are tried, RFC 8305.
///
/// Pure.
struct HappyEyeballs {
  enum Effect: Equatable {
    /// Start to connect to the address at this index of ``order``.
    case attempt(Int)
    /// Call ``delayPassed(after:)`` with this index after the attempt delay.
    case wait(Int)
    /// Every address failed.
    case giveUp
  }

  let order: [IPAddress]
  private var next = 0
  private var running = 0

  /// - Parameter addresses: As the resolver gave them.
  init(_ addresses: [IPAddress]) {
    // §4: alternate families, starting with the one that the resolver put first.
    let first = addresses.first?.isV6 ?? true
    var preferred = addresses.filter { $0.isV6 == first }[...]
    var other = addresses.filter { $0.isV6 != first }[...]
    var order: [IPAddress] = []
    while order.count < NetLimits.maxAttempts, !preferred.isEmpty || !other.isEmpty {
      if let address = preferred.popFirst() { order.append(address) }
      if let address = other.popFirst() { order.append(address) }
    }
    self.order = Array(order.prefix(NetLimits.maxAttempts))
  }

  mutating func start() -> [Effect] { startNext() }

  /// An attempt failed: the next one need not wait.
  mutating func attemptFailed() -> [Effect] {
    running -= 1
    let effects = startNext()
    return effects.isEmpty && running == 0 ? [.giveUp] : effects
  }

  /// The delay after an attempt is over.
  ///
  /// Nothing when a later attempt has begun meanwhile: that one has a delay of its own.
  mutating func delayPassed(after attempt: Int) -> [Effect] {
    attempt == next - 1 ? startNext() : []
  }

  private mutating func startNext() -> [Effect] {
    guard next < order.count else { return order.isEmpty ? [.giveUp] : [] }
    next += 1
    running += 1
    let attempt = next - 1
    return next < order.count ? [.attempt(attempt), .wait(attempt)] : [.attempt(attempt)]
  }
}

extension Socket {
  /// Connects to the first address that answers.
  ///
  /// - Throws: The error of the first attempt when none answers.
  static func connect(
    _ addresses: [IPAddress], port: Int, on loop: EventLoop
  ) async throws -> Socket {
    var machine = HappyEyeballs(addresses)
    let order = machine.order
    if order.count == 1 { return try await connect(.ip(order[0], port: port), on: loop) }
    var firstError: (any Error)?
    return try await withThrowingTaskGroup(of: Outcome.self) { group in
      func perform(_ effects: [HappyEyeballs.Effect]) throws {
        for effect in effects {
          switch effect {
          case .attempt(let index):
            group.addTask(executorPreference: loop) {
              do {
                return .connected(try await connect(.ip(order[index], port: port), on: loop))
              } catch {
                return .failed(error)
              }
            }
          case .wait(let attempt):
            group.addTask(executorPreference: loop) {
              try? await loop.sleep(for: NetLimits.attemptDelay)  // cancelled: the race is over
              return .delayPassed(attempt)
            }
          case .giveUp:
            throw firstError ?? NetError(.nameNotFound, "the host has no address")
          }
        }
      }
      try perform(machine.start())
      var winner: Socket?
      while let outcome = try await group.next() {
        switch outcome {
        case .connected(let socket):
          if winner == nil { winner = socket } else { socket.close() }
          group.cancelAll()
        case .failed(let error):
          if firstError == nil { firstError = error }
          if winner == nil { try perform(machine.attemptFailed()) }
        case .delayPassed(let attempt):
          if winner == nil { try perform(machine.delayPassed(after: attempt)) }
        }
      }
      guard let winner else { throw firstError ?? CancellationError() }
      return winner
    }
  }

  private enum Outcome: Sendable {
    case connected(Socket)
    case failed(any Error)
    case delayPassed(Int)
  }
}
