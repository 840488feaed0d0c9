import BloomBase
import BloomHTTP
import BloomNet
import Testing

@testable import BloomCoordinator

@Suite struct LimitTests {
  private static func at(_ seconds: Double) -> Instant {
    Instant(nanoseconds: UInt64(1e9 * (1000 + seconds)))
  }

  @Test func `a bucket gives its burst, then its rate`() {
    var buckets = TokenBuckets<Int>(perSecond: 2, burst: 3)
    for _ in 0..<3 { #expect(buckets.take(from: 1, now: Self.at(0)) == nil) }
    #expect(buckets.take(from: 1, now: Self.at(0)) == .milliseconds(500))
    #expect(buckets.take(from: 2, now: Self.at(0)) == nil)
    #expect(buckets.take(from: 1, now: Self.at(0.5)) == nil)
    #expect(buckets.take(from: 1, now: Self.at(0.5)) != nil)
    for _ in 0..<3 { #expect(buckets.take(from: 1, now: Self.at(1000)) == nil) }
    #expect(buckets.take(from: 1, now: Self.at(1000)) != nil)
  }

  @Test func `a clock that goes back fills no bucket`() {
    var buckets = TokenBuckets<Int>(perSecond: 1, burst: 1)
    #expect(buckets.take(from: 1, now: Self.at(10)) == nil)
    #expect(buckets.take(from: 1, now: Self.at(0)) != nil)
    #expect(buckets.take(from: 1, now: Self.at(10.5)) != nil)
  }

  @Test func `a flood of keys takes bounded memory, and a key in use keeps its debt`() {
    var buckets = TokenBuckets<Int>(perSecond: 0.001, burst: 1, capacity: 100)
    #expect(buckets.take(from: -1, now: Self.at(0)) == nil)
    for key in 0..<10_000 {
      _ = buckets.take(from: key, now: Self.at(1))
      #expect(buckets.count <= 200)
      if key % 50 == 0 { #expect(buckets.take(from: -1, now: Self.at(1)) != nil) }
    }
  }

  @Test func `a charge is owed until it is paid`() {
    var buckets = TokenBuckets<Int>(perSecond: 1, burst: 10)
    buckets.charge(15, to: 1, now: Self.at(0))
    #expect(buckets.take(from: 1, now: Self.at(5)) != nil)
    #expect(buckets.take(from: 1, now: Self.at(6)) == nil)
  }

  // MARK: Whose request it is

  private static func request(
    from peer: String, forwardedFor: String? = nil
  ) throws -> Request {
    var request = try Request(
      .get, "/v1/network",
      connection: ConnectionInfo(peer: .ip(try #require(IPAddress(peer)), port: 5)))
    if let forwardedFor {
      request.head.fields.add("X-Forwarded-For", try HTTPFieldValue(forwardedFor))
    }
    return request
  }

  private static func limits(
    _ change: (inout RequestLimits.Rates) -> Void = { _ in }
  ) -> RequestLimits {
    var rates = RequestLimits.Rates()
    change(&rates)
    return RequestLimits(rates, time: SystemTime(), metrics: CoordinatorMetrics())
  }

  @Test func `IPv6 counts by its network, IPv4 by itself`() throws {
    let limits = Self.limits()
    let one = limits.subscriber(of: try Self.request(from: "2001:db8:1:2:3::4"))
    #expect(one == limits.subscriber(of: try Self.request(from: "2001:db8:1:2:ffff::9")))
    #expect(one != limits.subscriber(of: try Self.request(from: "2001:db8:1:3::4")))
    let four = limits.subscriber(of: try Self.request(from: "192.0.2.7"))
    #expect(four == [192, 0, 2, 7])
    #expect(four == limits.subscriber(of: try Self.request(from: "::ffff:192.0.2.7")))
  }

  @Test func `a forwarded address is believed of a trusted proxy only`() throws {
    let proxy = try #require(IPAddress("192.0.2.1"))
    let limits = Self.limits { $0.proxies = [proxy] }
    // Anybody else may write what he likes.
    #expect(
      limits.subscriber(of: try Self.request(from: "198.51.100.9", forwardedFor: "1.2.3.4"))
        == [198, 51, 100, 9])
    #expect(
      limits.subscriber(
        of: try Self.request(from: "192.0.2.1", forwardedFor: "6.6.6.6, 203.0.113.5"))
        == [203, 0, 113, 5])
    #expect(
      limits.subscriber(of: try Self.request(from: "127.0.0.1", forwardedFor: "203.0.113.5"))
        == [203, 0, 113, 5])
    #expect(
      limits.subscriber(of: try Self.request(from: "192.0.2.1", forwardedFor: "nonsense"))
        == [192, 0, 2, 1])
    #expect(limits.subscriber(of: try Self.request(from: "127.0.0.1")) == nil)
  }

  @Test func `wrong keys use an address up`() throws {
    let limits = Self.limits {
      $0.address = 1
      $0.wrongKeyCost = 10
    }
    let request = try Self.request(from: "192.0.2.7")
    #expect(limits.address(request) == nil)
    limits.wrongKey(request)
    #expect(limits.address(request) != nil)
    #expect(limits.address(try Self.request(from: "192.0.2.8")) == nil)
  }

  // MARK: Memory

  @Test func `answers of directories under way are bounded for each address`() throws {
    let limits = Self.limits()
    let budget = AnswerBudget(
      limit: 256 << 20, limits: limits, metrics: CoordinatorMetrics())
    let page = [UInt8](repeating: 1, count: 40 << 20)
    let request = try Self.request(from: "2001:db8::1")
    var first: Response? = budget.response(page, to: request)
    #expect(first?.status == .ok)
    let neighbour = try Self.request(from: "2001:db8::2")
    #expect(budget.response(page, to: neighbour).status == .serviceUnavailable)
    #expect(budget.response(page, to: try Self.request(from: "192.0.2.7")).status == .ok)
    #expect(budget.used == page.count)
    first = nil
    #expect(budget.used == 0)
    #expect(budget.response(page, to: neighbour).status == .ok)
  }

  @Test func `a small body must be whole in time`() async throws {
    let memory = MemoryNetwork()
    var router = Router()
    router.post("/small") { request in
      .bytes(try await request.smallBody(upTo: 100, within: .milliseconds(300)), type: "text/plain")
    }
    let server = HTTPServer(.init(.memory(memory)), responder: router)
    let serving = Task { try await server.run() }
    _ = try await server.boundAddresses()
    var web = HTTPClient.Configuration()
    web.memory = memory
    let http = HTTPClient(web)
    var request = try ClientRequest.post("http://here/small", [1, 2])
    #expect(try await http.send(request).status == .ok)
    request.body = .stream(length: 100) { writer in
      for _ in 0..<100 {
        try await writer.write([1])
        try await writer.flush()
        try await Task.sleep(for: .milliseconds(50))
      }
    }
    #expect(try await http.send(request, timeout: .seconds(10)).status == .requestTimeout)
    serving.cancel()
    try await serving.value
  }

  @Test func `one account cannot hold all bytes, and what was held comes back`() throws {
    let budget = ByteBudget<AccountID>(limit: 1 << 30)
    let first = try #require(AccountID("first"))
    let second = try #require(AccountID("second"))
    var shares: [ByteBudget<AccountID>.Share] = []
    while true {
      let share = budget.share(of: first)
      guard share.grow(by: 64 << 20) else { break }
      shares.append(share)
    }
    #expect(budget.used == 256 << 20)
    let other = budget.share(of: second)
    #expect(other.grow(by: 64 << 20))
    shares = []
    #expect(budget.used == 64 << 20)
    #expect(!other.grow(by: 1 << 30))
    #expect(budget.used == 64 << 20)
  }
}
