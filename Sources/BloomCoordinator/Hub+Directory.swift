internal import BloomBase
internal import BloomNet

/// How often snapshots may be published: a burst at once, then a steady rate.
///
/// Every snapshot is a leaf of a log that is kept for ever, so that machines that come and go
/// quickly must not make one each.
struct PublishAllowance {
  private static let burst = 20.0
  private var left = burst
  private var at: Instant?

  /// How long to wait before the next snapshot; takes it from the allowance when that is zero.
  ///
  /// - Parameters:
  ///   - now: The time.
  ///   - nodeCount: A large directory takes long to build and to fetch: a millisecond a node.
  /// - Returns: Zero when it may be made now.
  mutating func wait(now: Instant, nodeCount: Int) -> Duration {
    let seconds = at.map { Double((now - $0).wholeNanoseconds) / 1e9 } ?? 0
    at = now
    let interval = min(60, max(1, Double(nodeCount) / 1000))
    left = min(nodeCount <= 64 ? Self.burst : 1, left + max(0, seconds) / interval)
    guard left < 1 else {
      left -= 1
      return .zero
    }
    return .milliseconds(Int64((1 - left) * interval * 1000) + 1)
  }
}

extension Hub {
  /// Publishes soon: at once while that is rare.
  func directoryChanged() {
    guard !isPublishing else { return }
    isPublishing = true
    Task { await publishChanges() }
  }

  private func publishChanges() async {
    while directory.isChanged {
      let wait = publishAllowance.wait(now: time.now(), nodeCount: directory.nodeCount)
      if wait > .zero {
        guard (try? await loop.sleep(for: wait)) != nil else { break }  // cancelled: shutting down
      } else {
        await publishDirectory()
      }
    }
    isPublishing = false
  }

  /// Publishes what changed; a failure leaves the old directory in place.
  ///
  /// One at a time: two drafts of one log would both be kept on disk and one of them shown, and the
  /// log of the next start would not go on from what clients saw.
  package func publishDirectory() async {
    while let running = publishing { await running.value }
    let task = Task {
      await publishDraft()
      publishing = nil
    }
    publishing = task
    await task.value
  }

  private func publishDraft() async {
    do {
      guard let draft = try directory.draft(now: time.unixTime()) else { return }
      try await leafLog?.append(draft.leaf)
      directory.adopt(draft)
      metrics.snapshots.add()
    } catch {
      log.error("directory not published", ["reason": .error(error)])
    }
  }

  func directoryAnswer(earlier: Int) -> [UInt8]? { directory.answer(earlier: earlier) }

  func directoryAnswer(snapshot: UInt64, tree: Int, indexes: [Int]) -> [UInt8]? {
    directory.answer(snapshot: snapshot, tree: tree, indexes: indexes)
  }
}
