internal import BloomBase

extension LedgerStore {
  /// Why nothing can be written now; `nil` while all is well.
  ///
  /// Never waits.
  package var trouble: StoreError? { core.withLock { $0.trouble } }

  /// Tells when the backend is lost, and with `nil` when it is back.
  ///
  /// A `deposed` or `unreadable` backend does not come back. One observer at a time.
  package func observe(_ body: @escaping @Sendable (StoreError?) -> Void) {
    observer.withLock { $0 = body }
    if let trouble { body(trouble) }
  }

  /// Forgets what memory holds beyond the disk and goes on from the disk.
  ///
  /// The group is repeated one by one: when the database refused it, only the bad change fails, and
  /// when the connection broke, nobody need notice. Commands are idempotent, so repeating one that
  /// was kept after all is safe; rows written under conditions are not, and fail.
  func recover(_ failure: StoreError) async {
    var items = core.withLock { $0.beginRecovery() }[...]
    do {
      guard failure.isCurable else { throw failure }
      try await reload()
      while let item = items.first {
        guard failure.code == .rejected || item.isRepeatable else {
          core.withLock { $0.fail(item, failure) }
          items.removeFirst()
          continue
        }
        let changes = core.withLock { $0.retry(item) }
        do {
          if let changes, !changes.isEmpty { try await backend.commit(changes) }
          items.removeFirst()
        } catch {
          let reason = StoreError(wrapping: error)
          core.withLock { $0.fail(item, reason) }
          items.removeFirst()
          guard reason.isCurable else { throw reason }
          try await reload()
          guard reason.code == .rejected else {
            let rest = items
            core.withLock { $0.lose(rest, reason) }
            items = []
            break
          }
        }
      }
      resume(core.withLock { $0.endRecovery() })
    } catch {
      let reason = StoreError(wrapping: error)
      let rest = items
      core.withLock { $0.lose(rest, reason) }
      guard reason.isCurable else { return endForGood(reason) }
      resume(core.withLock { $0.beginOutage(reason) })
      observer.withLock { $0 }?(reason)
      // Its end is the store's: whoever led the failed group must not wait for a database.
      Task { await waitForBackend() }
    }
  }

  /// Asks until the backend can be read again, or the store is closed.
  private func waitForBackend() async {
    var backoff = RetryBackoff(first: .milliseconds(200), longest: .seconds(5))
    var random = SystemRandomNumberGenerator()
    while !core.withLock({ $0.isClosing }) {
      do {
        try await Task.sleep(for: backoff.failed(using: &random))
        try await reload()
        core.withLock { $0.endOutage() }
        observer.withLock { $0 }?(nil)
        return
      } catch {
        let reason = StoreError(wrapping: error)
        guard reason.isCurable else { return endForGood(reason) }
      }
    }
  }

  private func reload() async throws {
    let snapshot = try await backend.load(now: clock.unixTime())
    core.withLock { $0.reset(to: snapshot) }
  }

  private func endForGood(_ error: StoreError) {
    resume(core.withLock { $0.endForGood(error) })
    observer.withLock { $0 }?(error)
  }
}

extension StoreError {
  init(wrapping error: any Error) {
    self = error as? StoreError ?? StoreError(.unavailable, error.safeDescription)
  }

  /// Whether the same process may go on when the cause is over.
  package var isCurable: Bool {
    switch code {
    case .rejected, .unavailable, .refused, .overloaded, .conflict: true
    case .deposed, .unreadable, .closed: false
    }
  }
}
