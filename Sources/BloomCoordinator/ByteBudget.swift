internal import BloomBase

/// A bound on bytes held at once, over all and for each holder: an account or an address.
///
/// Bytes are counted as they come, not as they are announced: an announcement costs nothing. One
/// holder may have a quarter of all, or 64 MiB where that is more, so that nobody keeps others out
/// and one large request still fits. What is taken comes back when its share is released. Safe from
/// any thread.
final class ByteBudget<Holder: Hashable & Sendable>: Sendable {
  private struct State: Sendable {
    var used = 0
    var byHolder: [Holder: Int] = [:]
  }

  /// What one request holds; gives its bytes back when released.
  final class Share: Sendable {
    private let budget: ByteBudget
    private let holder: Holder
    private let held = Locked(0)

    fileprivate init(_ budget: ByteBudget, _ holder: Holder) {
      self.budget = budget
      self.holder = holder
    }

    /// Takes more bytes; `false`, and nothing is taken, when a bound would be passed.
    func grow(by count: Int) -> Bool {
      guard budget.take(count, holder) else { return false }
      held.withLock { $0 += count }
      return true
    }

    deinit { budget.giveBack(held.withLock { $0 }, holder) }
  }

  private let state = Locked(State())
  private let limit: Int
  private let holderLimit: Int

  /// Creates a budget of which nothing is used.
  init(limit: Int) {
    self.limit = limit
    holderLimit = max(limit / 4, min(limit, 64 << 20))
  }

  /// Bytes held now.
  var used: Int { state.withLock { $0.used } }

  /// A share that holds nothing yet.
  func share(of holder: Holder) -> Share { Share(self, holder) }

  private func take(_ count: Int, _ holder: Holder) -> Bool {
    state.withLock { state in
      let own = state.byHolder[holder, default: 0]
      guard state.used + count <= limit, own + count <= holderLimit else { return false }
      state.used += count
      state.byHolder[holder] = own + count
      return true
    }
  }

  private func giveBack(_ count: Int, _ holder: Holder) {
    guard count > 0 else { return }
    state.withLock { state in
      state.used -= count
      let own = state.byHolder[holder, default: 0] - count
      state.byHolder[holder] = own > 0 ? own : nil
    }
  }
}
