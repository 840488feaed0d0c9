internal import BloomBase

/// The requests that wait, in one lane for each node, fair between accounts.
///
/// Start-time fair queueing (Goyal, Vin, Cheng, 1996): in a lane each account has a flow with a start
/// tag; the smallest tag goes first and grows by the work it took. A request waits in the lanes of all
/// its candidates at once; links are intrusive, so leaving a lane is O(1). An emptied flow is kept
/// until the lane's time has passed its tag: coming back does not win back what was used.
struct FairQueue: Sendable {
  private struct Flow: Sendable {
    var lane: Int
    var account: UInt32
    var tag: UInt64
    var head = FairQueue.none
    var tail = FairQueue.none
  }

  private struct Lane: Sendable {
    var heap = KeyedHeap()
    var virtualTime: UInt64 = 0
    var waiting = 0
  }

  private struct Links: Sendable {
    var flow = FairQueue.none
    var next = FairQueue.none
    var previous = FairQueue.none
  }

  private static let none: Int32 = -1

  private var lanes: [Lane] = []
  private var flows = Slab<Flow>()
  private var positions: [Int32] = []
  private var numbers: [UInt64: Int] = [:]
  /// Four for each request number: one a candidate.
  private var links: [Links] = []
  /// Requests that wait in at least one lane.
  private(set) var waitingRequests = 0

  /// How many requests wait in a lane.
  func waiting(lane: Int) -> Int { lane < lanes.count ? lanes[lane].waiting : 0 }

  /// Whether a request waits in the lane of its candidate.
  func holds(request: Int, candidate: Int) -> Bool {
    let entry = 4 * request + candidate
    return entry < links.count && links[entry].flow != Self.none
  }

  /// Whether a request waits anywhere.
  func holds(request: Int) -> Bool { (0..<4).contains { holds(request: request, candidate: $0) } }

  /// Puts a request at the end of its account's flow in a lane.
  ///
  /// O(1) expected.
  mutating func add(request: Int, candidate: Int, lane: Int, account: UInt32) {
    while lanes.count <= lane { lanes.append(Lane()) }
    while links.count < 4 * (request + 1) { links.append(Links()) }
    let entry = 4 * request + candidate
    invariant(links[entry].flow == Self.none, "a request waits twice in a lane")
    if !holds(request: request) { waitingRequests += 1 }
    let flow = flowNumber(lane: lane, account: account)
    links[entry] = Links(flow: Int32(flow), next: Self.none, previous: flows[flow].tail)
    if flows[flow].tail == Self.none {
      flows[flow].head = Int32(entry)
    } else {
      links[Int(flows[flow].tail)].next = Int32(entry)
    }
    flows[flow].tail = Int32(entry)
    lanes[lane].waiting += 1
  }

  /// Takes a request out of one lane.
  ///
  /// O(1).
  mutating func remove(request: Int, candidate: Int) {
    guard holds(request: request, candidate: candidate) else { return }
    let entry = 4 * request + candidate
    let old = links[entry]
    let flow = Int(old.flow)
    if old.previous == Self.none {
      flows[flow].head = old.next
    } else {
      links[Int(old.previous)].next = old.next
    }
    if old.next == Self.none {
      flows[flow].tail = old.previous
    } else {
      links[Int(old.next)].previous = old.previous
    }
    links[entry] = Links()
    lanes[flows[flow].lane].waiting -= 1
    if !holds(request: request) { waitingRequests -= 1 }
    forgetIdleFlows(lane: flows[flow].lane, limit: 4)
  }

  /// Takes a request out of all lanes.
  mutating func remove(request: Int) {
    for candidate in 0..<4 { remove(request: request, candidate: candidate) }
  }

  /// The request that is next in a lane.
  ///
  /// O(log n) amortised: each emptied flow is dropped once.
  mutating func next(lane: Int) -> (request: Int, candidate: Int)? {
    guard lane < lanes.count else { return nil }
    while lanes[lane].waiting > 0, let least = lanes[lane].heap.minimum {
      let entry = Int(flows[least.id].head)
      if entry >= 0 { return (entry / 4, entry % 4) }
      dropFlow(least.id)
    }
    forgetIdleFlows(lane: lane, limit: 4)
    return nil
  }

  /// Charges the lane's next request to its account and takes it out of all lanes.
  ///
  /// - Parameters:
  ///   - lane: The lane that ``next(lane:)`` was asked for.
  ///   - work: What the account has used by it, at least 1.
  mutating func take(lane: Int, work: UInt64) {
    guard let next = next(lane: lane), let least = lanes[lane].heap.minimum else { return }
    lanes[lane].virtualTime = least.key
    let tag = least.key + max(work, 1)
    flows[least.id].tag = tag
    lanes[lane].heap.update(least.id, key: tag, &positions)
    remove(request: next.request)
  }

  private mutating func flowNumber(lane: Int, account: UInt32) -> Int {
    let name = UInt64(lane) << 32 | UInt64(account)
    let start = lanes[lane].virtualTime
    if let known = numbers[name] {
      if flows[known].head == Self.none, flows[known].tag < start {
        flows[known].tag = start
        lanes[lane].heap.update(known, key: start, &positions)
      }
      return known
    }
    let flow = flows.insert(Flow(lane: lane, account: account, tag: start))
    while positions.count < flows.bound { positions.append(KeyedHeap.absent) }
    numbers[name] = flow
    lanes[lane].heap.insert(flow, key: start, &positions)
    return flow
  }

  private mutating func forgetIdleFlows(lane: Int, limit: Int) {
    guard lanes[lane].waiting == 0 else { return }
    for _ in 0..<limit {
      guard let least = lanes[lane].heap.minimum else { return }
      lanes[lane].virtualTime = max(lanes[lane].virtualTime, least.key)
      dropFlow(least.id)
    }
  }

  private mutating func dropFlow(_ flow: Int) {
    let lane = flows[flow].lane
    lanes[lane].heap.remove(flow, &positions)
    numbers[UInt64(lane) << 32 | UInt64(flows[flow].account)] = nil
    flows.remove(flow)
  }
}
