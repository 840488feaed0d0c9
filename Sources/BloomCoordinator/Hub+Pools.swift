package import BloomBase
internal import BloomLedger
internal import BloomLink
internal import BloomStore
internal import BloomSchedule
internal import BloomCrypto
internal import BloomRecords
internal import BloomWire

/// The directory of one pool: the same trees, proofs and signed log as the network's, of its own.
///
/// Handed to members only; touched on the hub only.
final class PoolBoard {
  var directory: Directory
  var publishedAt: Instant?
  var publishing: Task<Void, Never>?

  init(directory: Directory) { self.directory = directory }
}

/// An answer with parts that run for a pool, for its audit.
struct PoolAnswer: Sendable {
  /// Who asked.
  let account: AccountID
  /// The pools that its parts named, by the part's number.
  var pools: [Int: String] = [:]
}

extension Hub {
  /// A machine is connected or changed: it is shown where it serves.
  func show(_ record: AppraisedRecord) {
    if record.membership.isPrivate {
      directory.remove(record.profile.node)
    } else {
      directory.insert(record)
    }
    directoryChanged()
    for (name, board) in boards {
      if record.membership.pools.contains(name), meets(name, record) {
        board.directory.insert(record)
      } else {
        board.directory.remove(record.profile.node)
      }
    }
  }

  /// A machine is gone.
  func hide(_ node: NodeID) {
    directory.remove(node)
    directoryChanged()
    for board in boards.values { board.directory.remove(node) }
  }

  /// Reads again whose the connected machines are, after members, machines or policies changed.
  ///
  /// A machine that is nobody's any more is sent away at once.
  package func membershipChanged() {
    for session in Array(sessions.values) {
      guard session.node != nil, let record = session.record else { continue }
      guard let renewed = appraiser.renewed(record) else {
        perform(
          session.machine.goodbye(.unauthorized, retryAfterMilliseconds: 60_000), of: session)
        continue
      }
      guard renewed.membership != record.membership || !boards.isEmpty else { continue }
      session.record = renewed
      show(renewed)
      handle(.recordChanged(informed(renewed.profile)))
    }
    for name in Array(boards.keys) where pools.pool(name) == nil {
      let board = boards.removeValue(forKey: name)
      if let running = board?.publishing { leavingBoards[name] = running }
    }
  }

  // MARK: The audit

  /// An answer was closed: the parts that its entry has a line of go into the audits of their pools.
  func noteAnswered(_ answer: PoolAnswer, in sequence: Int64) async {
    guard let settlement = try? await store.entry(sequence)?.settlement else {
      return log.error("a pool's audit has a gap: an entry cannot be read")
    }
    for line in settlement.lines {
      guard let pool = answer.pools[line.part] else { continue }
      note(
        pool, answer.account, line.owner, line.node, settlement.model, line.promptTokens,
        line.completionTokens)
    }
  }

  private func note(
    _ pool: String, _ account: AccountID, _ owner: AccountID, _ node: NodeID, _ model: ModelID,
    _ promptTokens: Int, _ completionTokens: Int
  ) {
    do {
      try pools.answered(
        pool, account, owner: owner, node: node, model: model, promptTokens: promptTokens,
        completionTokens: completionTokens)
    } catch {
      log.error("a pool's audit has a gap", ["reason": .error(error)])
    }
  }

  /// The connected machines, for the operator.
  package var connectedNodes: Set<NodeID> { Set(sessionOfNode.keys) }

  /// A pool's directory answer; as ``Directory/answer(earlier:)``.
  func poolDirectoryAnswer(_ name: String, earlier: Int) async throws -> [UInt8]? {
    try await published(name).directory.answer(earlier: earlier)
  }

  /// Records of a pool's directory; as ``Directory/answer(snapshot:tree:indexes:)``.
  func poolDirectoryAnswer(
    _ name: String, snapshot: UInt64, tree: Int, indexes: [Int]
  ) -> [UInt8]? {
    boards[name]?.directory.answer(snapshot: snapshot, tree: tree, indexes: indexes)
  }

  private func meets(_ name: String, _ record: AppraisedRecord) -> Bool {
    guard let policy = pools.pool(name)?.policy else { return false }
    if let region = policy.region, region != record.membership.region { return false }
    return record.tier.rawValue >= policy.minimumTier
  }

  /// The board of a pool with its newest state published, at most once a second.
  ///
  /// Made when a member first asks: pools that nobody uses cost nothing.
  private func published(_ name: String) async throws -> PoolBoard {
    let board = try await board(of: name)
    if let running = board.publishing {
      await running.value
      return board
    }
    let isEarly = board.publishedAt.map { time.now() - $0 < .seconds(1) } ?? false
    if isEarly { return board }
    let task = Task { await self.publish(board, name) }
    board.publishing = task
    await task.value
    board.publishing = nil
    if leavingBoards[name] == task { leavingBoards[name] = nil }
    return board
  }

  private func board(of name: String) async throws -> PoolBoard {
    if let known = boards[name] { return known }
    // A pool made anew goes on with the log of the old one, so with its last leaf, too.
    while let leaving = leavingBoards[name] {
      await leaving.value
      if leavingBoards[name] == leaving { leavingBoards[name] = nil }
    }
    let leaves = try await leafLog?.load(LeafLog.file(ofPool: name)) ?? []
    // Another member may have asked meanwhile.
    if let known = boards[name] { return known }
    let board = PoolBoard(
      directory: Directory(
        origin: PoolName.origin(of: name, in: directory.origin), signer: directory.signer,
        leaves: leaves))
    boards[name] = board
    for session in sessions.values {
      guard session.node != nil, let record = session.record,
        record.membership.pools.contains(name), meets(name, record)
      else { continue }
      board.directory.insert(record)
    }
    return board
  }

  private func publish(_ board: PoolBoard, _ name: String) async {
    do {
      guard let draft = try board.directory.draft(now: time.unixTime()) else { return }
      board.publishedAt = time.now()
      try await leafLog?.append(draft.leaf, to: LeafLog.file(ofPool: name))
      board.directory.adopt(draft)
    } catch {
      log.error("a pool's directory was not published", ["reason": .error(error)])
    }
  }
}
