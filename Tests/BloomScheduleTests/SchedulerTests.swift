import BloomBase
import BloomSchedule
import Testing

@Suite struct SchedulerTests {
  @Test func `a network of one new node serves the first request`() {
    let world = World()
    world.join(1)
    let request = world.request([1])
    #expect(world.handle(.requestArrived(request)).dispatched == [World.node(1)])
  }

  @Test func `only a named node is ever chosen`() {
    let world = World()
    world.join(1, decode: 1)
    world.join(2, decode: 100)
    let request = world.request([1])
    #expect(world.handle(.requestArrived(request)).dispatched == [World.node(1)])
  }

  @Test func `the faster of two free candidates is chosen`() {
    let world = World()
    world.join(1, decode: 10)
    world.join(2, decode: 60)
    let request = world.request([1, 2])
    #expect(world.handle(.requestArrived(request)).dispatched == [World.node(2)])
  }

  @Test func `a claim loses its weight against measured work`() {
    let world = World()
    world.join(1, decode: 20_000)
    world.join(2, decode: 30)
    for _ in 0..<8 {
      let id = world.arrive([1])
      world.handle(.accepted(id, World.node(1)))
      world.handle(.firstToken(id, World.node(1)))
      world.now = world.now + .seconds(20)
      world.handle(.finished(id, World.node(1), .init(promptTokens: 500, completionTokens: 101)))
    }
    let request = world.request([1, 2])
    #expect(world.handle(.requestArrived(request)).dispatched == [World.node(2)])
  }

  @Test func `a request waits for a busy node and gets the freed slot`() {
    let world = World()
    world.join(1)
    let first = world.arrive([1])
    let second = world.request([1])
    let effects = world.handle(.requestArrived(second))
    #expect(effects.dispatched.isEmpty)
    guard case .queued(second.id, position: 1, _) = effects.first else {
      Issue.record("not queued")
      return
    }
    let freed = world.handle(
      .finished(first, World.node(1), .init(promptTokens: 1, completionTokens: 1)))
    #expect(freed.endings == [.done(World.node(1))])
    #expect(freed.dispatchedRequests == [second.id])
    #expect(world.scheduler.waitingCount == 0)
  }

  @Test func `a request that waits for two nodes goes to the first that is free, once`() {
    let world = World()
    world.join(1)
    world.join(2)
    let first = world.arrive([1])
    let second = world.arrive([2])
    let waiting = world.arrive([1, 2])
    let summary = WorkSummary(promptTokens: 1, completionTokens: 1)
    #expect(
      world.handle(.finished(second, World.node(2), summary)).dispatchedRequests == [waiting])
    #expect(world.handle(.finished(first, World.node(1), summary)).dispatched.isEmpty)
  }

  @Test func `a slot goes to accounts in turn, not to the one with the longest queue`() {
    let world = World()
    world.join(1)
    let first = world.arrive([1], account: "greedy")
    var greedy: [RequestID] = []
    for _ in 0..<20 { greedy.append(world.arrive([1], account: "greedy")) }
    let modest = world.arrive([1], account: "modest")
    var running = first
    var order: [RequestID] = []
    for _ in 0..<4 {
      let freed = world.handle(
        .finished(running, World.node(1), .init(promptTokens: 1, completionTokens: 1)))
      guard let next = freed.dispatchedRequests.first else { break }
      order.append(next)
      running = next
    }
    #expect(order.prefix(2).contains(modest))
    #expect(order.contains(greedy[0]))
  }

  @Test func `a full account queue refuses with its reason and leaves others alone`() {
    var limits = ScheduleLimits()
    limits.waitingPerAccount = 2
    let world = World(limits: limits)
    world.join(1)
    for _ in 0..<3 { _ = world.arrive([1], account: "greedy") }
    let over = world.request([1], account: "greedy")
    #expect(world.handle(.requestArrived(over)).refusals == [.accountQueueFull])
    let other = world.request([1], account: "modest")
    #expect(world.handle(.requestArrived(other)).refusals.isEmpty)
  }

  @Test func `a refused arrival may come again`() {
    var limits = ScheduleLimits()
    limits.waiting = 0
    let world = World(limits: limits)
    world.join(1)
    let running = world.arrive([1])
    let request = world.request([1])
    #expect(world.handle(.requestArrived(request)).refusals == [.networkQueueFull])
    world.handle(.finished(running, World.node(1), .init(promptTokens: 1, completionTokens: 1)))
    #expect(world.handle(.requestArrived(request)).dispatched == [World.node(1)])
  }

  @Test func `nothing waits past its deadline`() {
    let world = World()
    world.join(1)
    _ = world.arrive([1])
    let waiting = world.request([1], deadline: .seconds(60))
    world.handle(.requestArrived(waiting))
    #expect(
      world.pass(.seconds(1)).filter { if case .end(waiting.id, _) = $0 { true } else { false } }
        .isEmpty)
    let late = world.pass(.seconds(60))
    #expect(late.contains(.end(waiting.id, .failed(.deadlinePassed, retryAfter: nil))))
    #expect(world.scheduler.waitingCount == 0)
  }

  @Test func `a wait that cannot end in time is refused at once`() {
    let world = World()
    world.join(1)
    _ = world.arrive([1])
    let request = world.request([1], deadline: .milliseconds(10))
    #expect(world.handle(.requestArrived(request)).refusals == [.deadlineUnreachable])
  }

  @Test func `a node that vanishes before the first token is replaced by the next candidate`() {
    let world = World()
    world.join(1, decode: 60)
    world.join(2, decode: 50)
    let id = world.arrive([1, 2])
    let effects = world.handle(.nodeLeft(World.node(1)))
    #expect(effects.dispatched == [World.node(2)])
    #expect(effects.endings.isEmpty)
    let done = world.handle(
      .finished(id, World.node(2), .init(promptTokens: 1, completionTokens: 1)))
    #expect(done.endings == [.done(World.node(2))])
  }

  @Test func `after a first token the part fails and the next part is admitted elsewhere`() {
    let world = World()
    world.join(1, decode: 60)
    world.join(2, decode: 10)
    let id = world.arrive([1, 2])
    world.handle(.firstToken(id, World.node(1)))
    #expect(world.handle(.nodeLeft(World.node(1))).failures == [.nodeLost])
    world.join(1, decode: 60)
    let next = world.request([1, 2], part: 1, answer: id.answer)
    #expect(world.handle(.requestArrived(next)).dispatched == [World.node(2)])
  }

  @Test func `a part is not admitted while the one before it is well`() {
    let world = World()
    world.join(1, slots: 2)
    let id = world.arrive([1])
    world.handle(.firstToken(id, World.node(1)))
    let next = world.request([1], part: 1, answer: id.answer)
    #expect(world.handle(.requestArrived(next)).refusals == [.partNotAdmitted])
    let alone = world.request([1], part: 3)
    #expect(world.handle(.requestArrived(alone)).refusals == [.partNotAdmitted])
  }

  @Test func `a suspect node lets the next part begin while the first lives`() {
    let world = World()
    world.join(1)
    world.join(2)
    let id = world.arrive([1])
    world.handle(.firstToken(id, World.node(1)))
    #expect(world.handle(.nodeSuspected(World.node(1))) == [.suspect(id, World.node(1))])
    let next = world.request([2], part: 1, answer: id.answer)
    #expect(world.handle(.requestArrived(next)).dispatched == [World.node(2)])
    world.handle(.nodeRecovered(World.node(1)))
    let summary = WorkSummary(promptTokens: 1, completionTokens: 1)
    #expect(world.handle(.finished(id, World.node(1), summary)).endings == [.done(World.node(1))])
    #expect(world.handle(.requestCancelled(next.id)).endings == [.cancelled])
  }

  @Test func `one retry budget covers all parts of an answer`() {
    var limits = ScheduleLimits()
    limits.dispatchesPerAnswer = 3
    let world = World(limits: limits)
    for node in UInt8(1)...8 { world.join(node) }
    let id = world.arrive([1, 2])
    var node = UInt8(1)
    #expect(world.handle(.refused(id, World.node(node), isBusy: false)).dispatched.count == 1)
    node = 2
    world.handle(.firstToken(id, World.node(node)))
    world.handle(.handedBack(id, World.node(node)))
    let second = world.request([3, 4], part: 1, answer: id.answer)
    #expect(world.handle(.requestArrived(second)).dispatched.count == 1)
    let lost = world.handle(.nodeLeft(World.node(3)))
    #expect(lost.failures == [.retryBudgetSpent])
    let third = world.request([5, 6], part: 2, answer: id.answer)
    #expect(world.handle(.requestArrived(third)).refusals == [.retryBudgetSpent])
  }

  @Test func `a late first token starts a second candidate and the loser is stopped`() {
    let world = World()
    world.join(1, decode: 60)
    world.join(2, decode: 40)
    let request = world.request([1, 2], mayHedge: true)
    world.handle(.requestArrived(request))
    world.handle(.accepted(request.id, World.node(1)))
    let hedged = world.pass(.seconds(9))
    #expect(hedged.dispatched == [World.node(2)])
    let first = world.handle(.firstToken(request.id, World.node(2)))
    #expect(first.contains(.started(request.id, World.node(2))))
    #expect(first.contains(.cancel(request.id, World.node(1), .hedgeLost)))
    #expect(world.scheduler.runningCount == 2)
    world.handle(.finished(request.id, World.node(1), nil))
    #expect(world.scheduler.runningCount == 1)
  }

  @Test func `a cancelled request keeps its slot until the node confirms or its grace is over`() {
    let world = World()
    world.join(1)
    let id = world.arrive([1])
    #expect(world.handle(.requestCancelled(id)).endings == [.cancelled])
    let next = world.arrive([1])
    #expect(world.scheduler.waitingCount == 1)
    #expect(world.pass(.seconds(3)).dispatchedRequests == [next])
    let standing = world.scheduler.standing(of: World.node(1), hours: 1, now: world.now)
    #expect(standing?.reasons[.cancelIgnored] == 1)
  }

  @Test func `a node that does not accept in time loses the request`() {
    let world = World()
    world.join(1, decode: 60)
    world.join(2, decode: 40)
    _ = world.arrive([1, 2])
    let effects = world.pass(.milliseconds(2001))
    #expect(effects.dispatched == [World.node(2)])
  }

  @Test func `a draining node gets nothing and its waiting requests move on`() {
    let world = World()
    world.join(1, decode: 60)
    world.join(2, decode: 60)
    let first = world.arrive([1])
    _ = world.arrive([2])
    let both = world.arrive([1, 2])
    let one = world.arrive([1])
    let effects = world.handle(.nodeDraining(World.node(1)))
    #expect(effects.failures == [.draining])
    #expect(world.scheduler.decision(for: both) != nil)
    #expect(world.scheduler.decision(for: one) == nil)
    let summary = WorkSummary(promptTokens: 1, completionTokens: 1)
    #expect(world.handle(.finished(first, World.node(1), summary)).dispatched.isEmpty)
    world.handle(.capacityReported(World.node(1), world.capacity(1)))
    let again = world.request([1])
    #expect(world.handle(.requestArrived(again)).dispatched == [World.node(1)])
  }

  @Test func `a node that refuses as busy is believed until its next report`() {
    let world = World()
    world.join(1, slots: 4)
    let id = world.arrive([1])
    #expect(world.handle(.refused(id, World.node(1), isBusy: true)).failures == [.noCandidate])
    let second = world.request([1])
    #expect(world.handle(.requestArrived(second)).refusals == [.paused])
    world.handle(.capacityReported(World.node(1), world.capacity(4)))
    #expect(world.handle(.requestArrived(second)).dispatched == [World.node(1)])
  }

  @Test func `an answer is remembered over a restart of the coordinator`() {
    let world = World()
    world.join(1)
    let id = RequestID(answer: AnswerID(using: &world.generator), part: 0)
    world.handle(
      .answerRestored(id, World.account("user-1"), world.model, .tokens256, dispatches: 1))
    let next = world.request([1], part: 1, answer: id.answer)
    #expect(world.handle(.requestArrived(next)).dispatched == [World.node(1)])
    let stranger = world.request([1], account: "user-2", part: 2, answer: id.answer)
    #expect(world.handle(.requestArrived(stranger)).refusals == [.partNotAdmitted])
  }

  @Test func `a restored answer has spent its attempts and goes on once its machines are back`() {
    var limits = ScheduleLimits()
    limits.dispatchesPerAnswer = 3
    let world = World(limits: limits)
    let id = RequestID(answer: AnswerID(using: &world.generator), part: 1)
    let restored = ScheduleEvent.answerRestored(
      id, World.account("user-1"), world.model, .tokens256, dispatches: 2)
    world.handle(restored)
    world.handle(restored)
    let again = world.request([1], part: 1, answer: id.answer)
    #expect(world.handle(.requestArrived(again)).refusals == [.duplicateRequest])
    let gap = world.request([1], part: 3, answer: id.answer)
    #expect(world.handle(.requestArrived(gap)).refusals == [.partNotAdmitted])
    let early = world.request([1, 2], part: 2, answer: id.answer)
    #expect(world.handle(.requestArrived(early)).refusals == [.noCandidate])
    world.join(1)
    world.join(2)
    #expect(world.handle(.requestArrived(early)).dispatched.count == 1)
    #expect(world.handle(.nodeLeft(World.node(1))).failures == [.retryBudgetSpent])
  }

  @Test func `two models of a machine share its speed but not its slots`() {
    let world = World()
    guard let digest = Digest(Array(repeating: 9, count: 32)) else { return }
    let other = ModelID(digest)
    var profile = world.profile(1)
    profile.keys.append(OfferedKey(key: KeyID(77), model: other))
    let reports =
      world.capacity(1) + [ReportedCapacity(model: other, slots: 1, decodeRate: 40)]
    world.handle(.nodeJoined(profile, reports))
    let first = world.arrive([1])
    let alone = world.scheduler.decision(for: first)?.candidates[0].decode ?? 0
    var second = world.request([1])
    second.model = other
    second.candidates = [Candidate(node: World.node(1), key: KeyID(77))]
    #expect(world.handle(.requestArrived(second)).dispatched == [World.node(1)])
    #expect(world.scheduler.decision(for: second.id)?.candidates[0].decode ?? 0 >= alone)
    let third = world.request([1])
    #expect(world.handle(.requestArrived(third)).dispatched.isEmpty)
    let done = WorkSummary(promptTokens: 1, completionTokens: 1)
    #expect(
      world.handle(.finished(second.id, World.node(1), done)).dispatchedRequests.isEmpty)
    #expect(
      world.handle(.finished(first, World.node(1), done)).dispatchedRequests == [third.id])
  }

  @Test func `a key of before the last rotation is not known any more`() {
    let world = World()
    world.join(1, slots: 8)
    var profile = world.profile(1)
    for key in [UInt64(21), 22] {
      profile.keys = [
        OfferedKey(key: KeyID(key), model: world.model),
        OfferedKey(key: profile.keys[0].key, model: world.model),
      ]
      world.handle(.recordChanged(profile))
    }
    var request = world.request([1])
    #expect(world.handle(.requestArrived(request)).refusals == [.keyUnknown])
    for key in [UInt64(21), 22] {
      request = world.request([1])
      request.candidates = [Candidate(node: World.node(1), key: KeyID(key))]
      #expect(world.handle(.requestArrived(request)).dispatched == [World.node(1)])
    }
  }

  @Test func `a learned rate outlives the connection`() {
    let world = World()
    world.join(1, decode: 1000)
    for _ in 0..<5 {
      let id = world.arrive([1])
      world.handle(.firstToken(id, World.node(1)))
      world.now = world.now + .seconds(10)
      world.handle(.finished(id, World.node(1), .init(promptTokens: 9, completionTokens: 101)))
    }
    world.handle(.nodeLeft(World.node(1)))
    world.join(1, decode: 1000)
    let standing = world.scheduler.standing(of: World.node(1), hours: 1, now: world.now)
    #expect(abs((standing?.decodeRates[world.model] ?? 0) - 10) < 0.1)
  }

  @Test func `the weights that a node was measured with are capability, told memory or not`() {
    let world = World()
    var profile = world.profile(1)
    profile.memoryBytes = 0
    profile.keys[0].activeBytes = 16 << 30
    world.handle(.nodeJoined(profile, world.capacity(1)))
    func capability() -> Double {
      world.scheduler.trustScore(of: World.node(1))?.capability ?? -1
    }
    #expect(abs(capability()) < 0.001)
    let id = world.arrive([1])
    world.handle(.firstToken(id, World.node(1)))
    world.now = world.now + .seconds(10)
    world.handle(.finished(id, World.node(1), .init(promptTokens: 9, completionTokens: 101)))
    // 16 GiB are a sixth of what memory can bring, the rest is speed.
    #expect(capability() > 0.05)
    profile.keys[0].activeBytes = 0
    world.handle(.recordChanged(profile))
    #expect(abs(capability()) < 0.001)
  }

  @Test func `events of unknown nodes and requests change nothing`() {
    let world = World()
    let id = RequestID(answer: AnswerID(using: &world.generator), part: 0)
    let node = World.node(9)
    let events: [ScheduleEvent] = [
      .accepted(id, node), .refused(id, node, isBusy: true), .firstToken(id, node),
      .finished(id, node, nil), .handedBack(id, node), .requestCancelled(id),
      .nodeLeft(node), .nodeSuspected(node), .nodeRecovered(node),
      .nodeDraining(node), .nodeDisputed(node), .capacityReported(node, []), .tick,
      .networkMeasured(node, roundTrip: .zero, loss: .nan),
    ]
    for event in events { #expect(world.handle(event).isEmpty) }
    #expect(world.scheduler.nextDeadline == nil)
  }

  @Test func `models that a node no longer offers leave their places to others`() throws {
    var limits = ScheduleLimits()
    limits.models = 16
    let world = World(limits: limits)
    var profile = world.profile(1)
    for number in UInt8(1)...60 {
      let invented = ModelID(try #require(Digest(Array(repeating: number, count: 32))))
      profile.keys = [OfferedKey(key: KeyID(1_000 + UInt64(number)), model: invented)]
      world.handle(number == 1 ? .nodeJoined(profile, []) : .recordChanged(profile))
    }
    world.join(2, slots: 8)
    world.join(3, slots: 8)
    _ = world.arrive([3])
    // What nobody asked this one for is known of models that have a place.
    let standing = world.scheduler.standing(of: World.node(2), hours: 1, now: world.now)
    #expect(standing?.reasons == [.notNamed: 1])
  }

  @Test func `the node table is bounded and forgets the longest gone`() {
    var limits = ScheduleLimits()
    limits.nodes = 2
    let world = World(limits: limits)
    world.join(1)
    world.join(2)
    #expect(world.join(3) == [.turnAway(World.node(3))])
    world.handle(.nodeLeft(World.node(1)))
    #expect(world.join(3).isEmpty)
    #expect(world.scheduler.standing(of: World.node(1), hours: 1, now: world.now) == nil)
    let request = world.request([3])
    #expect(world.handle(.requestArrived(request)).dispatched == [World.node(3)])
  }
}
