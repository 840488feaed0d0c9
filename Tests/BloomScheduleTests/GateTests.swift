import BloomBase
import BloomSchedule
import Testing

@Suite struct GateTests {
  @Test func `each constraint fails closed with its own reason`() {
    let cases: [(PlacementConstraints, ReasonCode)] = [
      (.init(tier: .hardware), .tierTooLow),
      (.init(region: "eu"), .regionMismatch),
      (.init(pool: "family"), .poolMismatch),
      (.init(priceCap: Micros(99)), .priceAboveCap),
    ]
    for (constraints, reason) in cases {
      let world = World()
      world.handle(
        .nodeJoined(world.profile(1, tier: .software, region: "us"), world.capacity(1)))
      var request = world.request([1], constraints: constraints)
      request.costs = [Micros(100)]
      #expect(world.handle(.requestArrived(request)).refusals == [reason])
      let standing = world.scheduler.standing(of: World.node(1), hours: 1, now: world.now)
      #expect(standing?.reasons[reason] == 1)
    }
  }

  @Test func `a node that meets every constraint is chosen`() {
    let world = World()
    let profile = world.profile(1, tier: .measured, region: "eu", pools: ["family"])
    world.handle(.nodeJoined(profile, world.capacity(1)))
    let constraints = PlacementConstraints(
      tier: .measured, region: "eu", pool: "family", priceCap: Micros(100))
    var request = world.request([1], constraints: constraints)
    request.costs = [Micros(100)]
    #expect(world.handle(.requestArrived(request)).dispatched == [World.node(1)])
  }

  @Test func `a cap keeps the faster, dearer machine out, also while it waits for the cheap one`() {
    let world = World()
    world.join(1, decode: 400)
    world.join(2, decode: 4)
    func ask(_ costs: UpToFour<Micros>, cap: Int64?) -> [ScheduleEffect] {
      var request = world.request(
        [1, 2], constraints: PlacementConstraints(priceCap: cap.map { Micros($0) }))
      request.costs = costs
      return world.handle(.requestArrived(request))
    }
    let prices: UpToFour<Micros> = [Micros(101), Micros(100)]
    #expect(ask(prices, cap: 100).dispatched == [World.node(2)])
    // The cheap machine is busy now, the dear one free: the request waits.
    #expect(ask(prices, cap: 100).dispatched == [])
    #expect(ask(prices, cap: 99).refusals == [.priceAboveCap])
    // Without a cap, prices mean nothing.
    #expect(ask(prices, cap: nil).dispatched == [World.node(1)])
  }

  @Test func `a node without valid evidence, key or model gets nothing`() {
    let world = World()
    world.handle(.nodeJoined(world.profile(1, isAttested: false), world.capacity(1)))
    var request = world.request([1])
    #expect(world.handle(.requestArrived(request)).refusals == [.attestationStale])
    world.handle(.recordChanged(world.profile(1)))
    request.candidates = [Candidate(node: World.node(1), key: KeyID(99))]
    #expect(world.handle(.requestArrived(request)).refusals == [.keyUnknown])
    request = world.request([1])
    guard let other = Digest(Array(repeating: 5, count: 32)) else { return }
    request.model = ModelID(other)
    #expect(world.handle(.requestArrived(request)).refusals == [.modelNotServed])
  }

  @Test func `bad candidate lists are refused`() {
    let world = World()
    world.join(1)
    let none = world.request([])
    #expect(world.handle(.requestArrived(none)).refusals == [.badCandidates])
    let twice = world.request([1, 1])
    #expect(world.handle(.requestArrived(twice)).refusals == [.badCandidates])
    let unknown = world.request([7, 8])
    #expect(world.handle(.requestArrived(unknown)).refusals == [.noCandidate])
  }

  @Test func `a prompt that does not fit the cache now waits for room`() {
    let world = World()
    let report = ReportedCapacity(model: world.model, slots: 4, contextTokens: 1000)
    world.handle(.nodeJoined(world.profile(1), [report]))
    let first = world.arrive([1])
    let second = world.request([1])
    #expect(world.handle(.requestArrived(second)).dispatched.isEmpty)
    let freed = world.handle(
      .finished(first, World.node(1), .init(promptTokens: 1, completionTokens: 1)))
    #expect(freed.dispatchedRequests == [second.id])
    var huge = world.request([1])
    huge.inputBytes = 40_000
    #expect(world.handle(.requestArrived(huge)).refusals == [.contextTooLong])
  }

  @Test func `a disputed node loses public work and may still serve its own pool`() {
    let world = World()
    world.handle(.nodeJoined(world.profile(1, pools: ["family"]), world.capacity(1)))
    world.handle(.nodeDisputed(World.node(1)))
    world.handle(.nodeDisputed(World.node(1)))
    let request = world.request([1])
    #expect(world.handle(.requestArrived(request)).refusals == [.standingTooLow])
    let own = world.request([1], constraints: .init(pool: "family"))
    #expect(world.handle(.requestArrived(own)).dispatched == [World.node(1)])
  }

  @Test func `work that its own owner pays for gives a node no name, good or bad`() {
    let world = World()
    var profile = world.profile(1)
    profile.owner = World.account("owner")
    world.handle(.nodeJoined(profile, world.capacity(1)))
    func reliability() -> Double {
      world.scheduler.trustScore(of: World.node(1))?.reliability ?? -1
    }
    func serve(_ account: String, _ summary: WorkSummary?) {
      let id = world.arrive([1], account: account)
      world.handle(.finished(id, World.node(1), summary))
    }
    let before = reliability()
    let summary = WorkSummary(promptTokens: 1, completionTokens: 1)
    for _ in 0..<10 { serve("owner", summary) }
    #expect(reliability() == before)
    for _ in 0..<10 { serve("owner", nil) }
    let ignored = world.arrive([1], account: "owner")
    world.handle(.requestCancelled(ignored))
    _ = world.pass(.seconds(5))
    #expect(reliability() == before)
    serve("user-1", summary)
    let kept = reliability()
    #expect(kept > before)
    serve("user-1", nil)
    #expect(reliability() < kept)
  }

  @Test func `a node learns how often others were drawn instead of it`() {
    let world = World()
    world.join(1, slots: 8)
    world.join(2, slots: 8)
    for _ in 0..<3 { _ = world.arrive([1]) }
    let standing = world.scheduler.standing(of: World.node(2), hours: 1, now: world.now)
    #expect(standing?.reasons == [.notNamed: 3])
    #expect(standing?.present == nil)
    let chosen = world.scheduler.standing(of: World.node(1), hours: 1, now: world.now)
    #expect(chosen?.reasons == [.chosen: 3])
  }

  @Test func `a decision shows every candidate with the parts of its cost`() {
    let world = World()
    world.join(1, decode: 60)
    world.join(2, decode: 10)
    let id = world.arrive([1, 2, 3])
    guard let decision = world.scheduler.decision(for: id) else {
      Issue.record("no decision")
      return
    }
    #expect(decision.candidates.map(\.reason) == [.chosen, .costlier, .notConnected])
    let chosen = decision.candidates[0]
    let sum = (chosen.wait + chosen.firstToken + chosen.decode) / chosen.completion
    #expect(chosen.cost == sum)
    #expect(decision.candidates[1].cost > chosen.cost)
  }

  @Test func `counts are kept by the hour and leave after a day`() {
    let world = World()
    world.join(1, slots: 100)
    _ = world.arrive([1])
    world.now = world.now + .seconds(3600)
    _ = world.arrive([1])
    func chosen(_ hours: Int) -> Int? {
      world.scheduler.standing(of: World.node(1), hours: hours, now: world.now)?.reasons[.chosen]
    }
    #expect(chosen(1) == 1)
    #expect(chosen(2) == 2)
    world.now = world.now + .seconds(24 * 3600)
    #expect(chosen(24) == nil)
  }

  @Test func `a node that vanishes while it offers slots breaks its promise for as long`() {
    let world = World()
    func availability(_ node: UInt8) -> Double? {
      world.scheduler.standing(of: World.node(node), hours: 1, now: world.now)?.score.availability
    }
    for node in UInt8(1)...3 { world.join(node) }
    world.now = world.now + .seconds(100)
    // One vanishes, one drains first, one offers nothing any more.
    world.handle(.nodeDraining(World.node(2)))
    world.handle(.capacityReported(World.node(3), []))
    for node in UInt8(1)...3 { world.handle(.nodeLeft(World.node(node))) }
    world.now = world.now + .seconds(300)
    for node in UInt8(1)...3 { world.join(node) }
    // There for 100 of 400 seconds, of which a tenth counts at once.
    #expect(abs((availability(1) ?? 0) - 0.925) < 0.001)
    #expect(availability(2) == 1)
    #expect(availability(3) == 1)
  }
}
