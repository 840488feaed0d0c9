import BloomBase
import BloomClient
import BloomCrypto
import BloomRecords
import BloomSeal
import Testing

/// Every check of a directory, each with an answer that only it refuses.
@Suite struct DirectoryVerifierTests {
  let now = SystemTime().unixTime()
  let machines: [TestMachine]

  init() throws {
    machines = try (1...3).map { try TestMachine(seed: $0, model: FakeCoordinator.model) }
  }

  @Test func `an honest directory is believed and its records are given in order`() throws {
    let coordinator = try FakeCoordinator(machines: machines)
    let verifier = try coordinator.verifier()
    let (snapshot, known) = try verifier.snapshot(
      coordinator.directoryAnswer, known: nil, now: now)
    #expect(snapshot.trees.map(\.size) == [3])
    #expect(known.size == 1)
    let records = try verifier.records(
      try coordinator.recordsAnswer([2, 0]), tree: snapshot.trees[0], indexes: [2, 0])
    #expect(records.map(\.statement.nodeID) == [machines[2].node, machines[0].node])
    try coordinator.publish(Array(machines.prefix(2)))
    let (_, grown) = try verifier.snapshot(coordinator.directoryAnswer, known: known, now: now)
    #expect(grown.size == 2)
  }

  @Test(arguments: [
    (FakeCoordinator.Lie.otherKey, DirectoryError.signature),
    (.otherSnapshot, .notIncluded), (.wrongNumber, .notIncluded),
  ])
  func `a directory that its log does not bear out is refused`(
    lie: FakeCoordinator.Lie, error: DirectoryError
  ) throws {
    let coordinator = try FakeCoordinator(machines: machines)
    try coordinator.publish(machines, lie: lie)
    #expect(throws: error) {
      try coordinator.verifier().snapshot(coordinator.directoryAnswer, known: nil, now: now)
    }
  }

  @Test func `a log that forgets what this device saw is refused`() throws {
    let coordinator = try FakeCoordinator(machines: machines)
    let verifier = try coordinator.verifier()
    let (_, known) = try verifier.snapshot(coordinator.directoryAnswer, known: nil, now: now)
    try coordinator.publish(machines, lie: .rewrittenLog)
    #expect(throws: DirectoryError.rewritten) {
      try verifier.snapshot(coordinator.directoryAnswer, known: known, now: now)
    }
    _ = try verifier.snapshot(coordinator.directoryAnswer, known: nil, now: now)
  }

  @Test func `a directory that is too old, or from the future, is refused`() throws {
    let coordinator = try FakeCoordinator(machines: machines)
    let verifier = try coordinator.verifier(maximumAgeSeconds: 600)
    for seconds: Int64 in [601, -601] {
      #expect(throws: DirectoryError.stale) {
        try verifier.snapshot(coordinator.directoryAnswer, known: nil, now: now + seconds)
      }
    }
    _ = try verifier.snapshot(coordinator.directoryAnswer, known: nil, now: now + 590)
  }

  @Test func `a record outside the tree, a missing one and a forged one are refused`() throws {
    let coordinator = try FakeCoordinator(machines: machines)
    let verifier = try coordinator.verifier()
    let (snapshot, _) = try verifier.snapshot(coordinator.directoryAnswer, known: nil, now: now)
    let tree = snapshot.trees[0]
    coordinator.state.withLock { $0.lie = .otherRecord }
    let other = try coordinator.recordsAnswer([0])
    #expect(throws: DirectoryError.notIncluded) {
      try verifier.records(other, tree: tree, indexes: [0])
    }
    coordinator.state.withLock { $0.lie = .fewerRecords }
    let fewer = try coordinator.recordsAnswer([0, 1])
    #expect(throws: DirectoryError.malformed) {
      try verifier.records(fewer, tree: tree, indexes: [0, 1])
    }
    try coordinator.publish(machines, lie: .forgedRecord)
    let (forged, _) = try verifier.snapshot(coordinator.directoryAnswer, known: nil, now: now)
    let included = try coordinator.recordsAnswer([0])
    #expect(throws: RecordError.self) {
      try verifier.records(included, tree: forged.trees[0], indexes: [0])
    }
  }
}
