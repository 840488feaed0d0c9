package import BloomBase
internal import BloomHTTP
package import BloomNet
internal import BloomWire

/// How much one account, one address and one newcomer may ask of the coordinator.
///
/// IPv4 addresses count by themselves, IPv6 by their /64. Loopback is the operator or a proxy that
/// names the client; see ``Rates/proxies``. Memory is bounded whoever asks. Safe from any thread.
package final class RequestLimits: Sendable {
  /// What an operator decides; every rate has a burst of ten seconds' worth, ten at least.
  package struct Rates: Sendable, Equatable {
    /// Requests of one address each second, of whatever kind.
    package var address = 50.0
    /// Sealed requests of one account each second, all its keys together.
    package var account = 50.0
    /// Sign-ups and enrolments of one address each hour.
    package var registrations = 20.0
    /// Requests that an address loses by each wrong key: guessing is slow.
    package var wrongKeyCost = 10.0
    /// Proxies whose `X-Forwarded-For` is believed, beside none at all on other connections.
    package var proxies: Set<IPAddress> = []

    /// The defaults above.
    package init() {}
  }

  private struct Tables: Sendable {
    var addresses: TokenBuckets<[UInt8]>
    var accounts: TokenBuckets<AccountID>
    var registrations: TokenBuckets<[UInt8]>
  }

  private let rates: Rates
  private let tables: Locked<Tables>
  private let time: any TimeSource
  private let metrics: CoordinatorMetrics

  /// Creates limits that nobody has used.
  package init(_ rates: Rates, time: any TimeSource, metrics: CoordinatorMetrics) {
    self.rates = rates
    self.time = time
    self.metrics = metrics
    tables = Locked(
      Tables(
        addresses: TokenBuckets(perSecond: rates.address, burst: max(10, rates.address * 10)),
        accounts: TokenBuckets(perSecond: rates.account, burst: max(10, rates.account * 10)),
        registrations: TokenBuckets(
          perSecond: rates.registrations / 3600, burst: max(1, rates.registrations / 4))))
  }

  /// How long an account must wait before its next sealed request; `nil` when it may come.
  func account(_ account: AccountID) -> Duration? {
    let wait = tables.withLock { $0.accounts.take(from: account, now: time.now()) }
    if wait != nil { metrics.limited(.account) }
    return wait
  }

  /// How long an address must wait; `nil` when its request may come.
  func address(_ request: Request) -> Duration? {
    guard let subscriber = subscriber(of: request) else { return nil }
    let wait = tables.withLock { $0.addresses.take(from: subscriber, now: time.now()) }
    if wait != nil { metrics.limited(.address) }
    return wait
  }

  /// How long an address must wait before it signs up or enrols again; `nil` when it may.
  package func registration(_ request: Request) -> Duration? {
    guard let subscriber = subscriber(of: request) else { return nil }
    let wait = tables.withLock { $0.registrations.take(from: subscriber, now: time.now()) }
    if wait != nil { metrics.limited(.registration) }
    return wait
  }

  /// A key was wrong: the address pays for the guess.
  func wrongKey(_ request: Request) {
    guard let subscriber = subscriber(of: request) else { return }
    tables.withLock {
      $0.addresses.charge(rates.wrongKeyCost, to: subscriber, now: time.now())
    }
  }

  /// What is counted for a request: the subscriber behind it; `nil` for this machine itself.
  ///
  /// A proxy's `X-Forwarded-For` is read from its end, past further trusted proxies; anybody else's
  /// is not looked at, since it says what its sender likes.
  func subscriber(of request: Request) -> [UInt8]? {
    guard case .ip(let peer, _) = request.connection.peer else { return nil }
    guard peer.isLoopback || rates.proxies.contains(peer) else { return peer.subscriber }
    let names = request.headers.values("X-Forwarded-For")
      .flatMap { $0.split(separator: ",") }
      .map { $0.trimmingSpaces }
    for name in names.reversed() {
      guard let address = IPAddress(name) else { return peer.subscriber }
      if !rates.proxies.contains(address), !address.isLoopback { return address.subscriber }
    }
    return peer.isLoopback ? nil : peer.subscriber
  }
}

/// Turns requests away whose address asks too much.
struct AddressLimit: Middleware {
  let limits: RequestLimits
  /// What makes accounts, codes and memberships: few of these from one place.
  private static let registrations: Set<String> = [
    "/v1/signup", "/v1/device/code", "/v1/pools/join",
  ]

  func handle(_ request: Request, next: any HTTPResponder) async throws -> Response {
    if let wait = limits.address(request) {
      return SealedRoute.refusal(.rateLimited, retryAfter: wait)
    }
    if Self.registrations.contains(request.path), let wait = limits.registration(request) {
      return SealedRoute.refusal(.rateLimited, retryAfter: wait)
    }
    let response = try await next.respond(to: request)
    if response.status == .unauthorized { limits.wrongKey(request) }
    return response
  }
}

extension Substring {
  fileprivate var trimmingSpaces: Substring {
    var text = self
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return text
  }
}
