import BloomBase
import BloomSchedule

/// A scheduler with named nodes and short ways to make requests.
final class World {
  var scheduler: Scheduler
  var now = Instant(nanoseconds: 1_000_000_000)
  var generator = SeededGenerator(seed: 7)
  let model = ModelID(.zero)

  init(limits: ScheduleLimits = ScheduleLimits()) { scheduler = Scheduler(limits: limits) }

  static func node(_ number: UInt8) -> NodeID {
    guard let node = NodeID(Array(repeating: number, count: 32)) else { fatalError("32 bytes") }
    return node
  }

  static func account(_ name: String) -> AccountID {
    guard let account = AccountID(name) else { fatalError("a valid name") }
    return account
  }

  func profile(
    _ number: UInt8, tier: Tier = .hardware, isAttested: Bool = true, region: String = "",
    pools: [String] = []
  ) -> NodeProfile {
    NodeProfile(
      node: Self.node(number), tier: tier, isAttested: isAttested, region: region, pools: pools,
      memoryBytes: 32 << 30,
      keys: [
        OfferedKey(
          key: KeyID(UInt64(number)), model: model, activeBytes: 2_000_000_000)
      ])
  }

  func capacity(_ slots: Int, decode: Double = 40) -> [ReportedCapacity] {
    [ReportedCapacity(model: model, slots: slots, prefillRate: 400, decodeRate: decode)]
  }

  @discardableResult
  func join(_ number: UInt8, slots: Int = 1, decode: Double = 40) -> [ScheduleEffect] {
    handle(.nodeJoined(profile(number), capacity(slots, decode: decode)))
  }

  @discardableResult
  func handle(_ event: ScheduleEvent) -> [ScheduleEffect] {
    scheduler.handle(event, now: now)
  }

  func pass(_ duration: Duration) -> [ScheduleEffect] {
    now = now + duration
    return handle(.tick)
  }

  func request(
    _ nodes: [UInt8], account: String = "user-1", part: UInt16 = 0, answer: AnswerID? = nil,
    deadline: Duration = .seconds(3600), constraints: PlacementConstraints = .init(),
    mayHedge: Bool = false
  ) -> WorkRequest {
    var candidates: UpToFour<Candidate> = []
    for node in nodes {
      candidates.append(Candidate(node: Self.node(node), key: KeyID(UInt64(node))))
    }
    return WorkRequest(
      id: RequestID(answer: answer ?? AnswerID(using: &generator), part: part),
      account: Self.account(account), model: model, candidates: candidates, inputBytes: 2048,
      output: .tokens256, deadline: now + deadline, constraints: constraints, mayHedge: mayHedge)
  }

  func arrive(_ nodes: [UInt8], account: String = "user-1") -> RequestID {
    let request = request(nodes, account: account)
    handle(.requestArrived(request))
    return request.id
  }
}

extension [ScheduleEffect] {
  /// Where the dispatches in these effects go.
  var dispatched: [NodeID] {
    compactMap { if case .dispatch(let dispatch) = $0 { dispatch.node } else { nil } }
  }

  var dispatchedRequests: [RequestID] {
    compactMap { if case .dispatch(let dispatch) = $0 { dispatch.request } else { nil } }
  }

  var refusals: [ReasonCode] {
    compactMap { if case .refuse(_, let reason, _) = $0 { reason } else { nil } }
  }

  var endings: [RequestEnding] {
    compactMap { if case .end(_, let ending) = $0 { ending } else { nil } }
  }

  var failures: [ReasonCode] {
    endings.compactMap { if case .failed(let reason, _) = $0 { reason } else { nil } }
  }
}
