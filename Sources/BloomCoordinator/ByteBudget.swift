internal import BloomBase

/// A bound on bytes held at once, over all and for each account.
///
/// Bytes are counted as they come, not as they are announced: an announcement costs nothing. One
/// account may hold a quarter of all at most, so that nobody keeps others out. What is taken comes
/// back when its holder is released. Safe from any thread.
final class ByteBudget: Sendable {
  private struct State: Sendable {
    var used = 0
    var byAccount: [AccountID: Int] = [:]
  }

  /// What one request holds; gives its bytes back when released.
  final class Share: Sendable {
    private let budget: ByteBudget
    private let account: AccountID
    private let held = Locked(0)

    fileprivate init(_ budget: ByteBudget, _ account: AccountID) {
      self.budget = budget
      self.account = account
    }

    /// Takes more bytes; `false`, and nothing is taken, when a bound would be passed.
    func grow(by count: Int) -> Bool {
      guard budget.take(count, account) else { return false }
      held.withLock { $0 += count }
      return true
    }

    deinit { budget.giveBack(held.withLock { $0 }, account) }
  }

  private let state = Locked(State())
  private let limit: Int
  private let accountLimit: Int

  /// Creates a budget of which nothing is used.
  init(limit: Int) {
    self.limit = limit
    accountLimit = max(limit / 4, min(limit, 64 << 20))
  }

  /// Bytes held now.
  var used: Int { state.withLock { $0.used } }

  /// A share that holds nothing yet.
  func share(of account: AccountID) -> Share { Share(self, account) }

  private func take(_ count: Int, _ account: AccountID) -> Bool {
    state.withLock { state in
      let own = state.byAccount[account, default: 0]
      guard state.used + count <= limit, own + count <= accountLimit else { return false }
      state.used += count
      state.byAccount[account] = own + count
      return true
    }
  }

  private func giveBack(_ count: Int, _ account: AccountID) {
    guard count > 0 else { return }
    state.withLock { state in
      state.used -= count
      let own = state.byAccount[account, default: 0] - count
      state.byAccount[account] = own > 0 ? own : nil
    }
  }
}
