package import BloomBase
internal import BloomWire

/// Everything the coordinator counts.
///
/// `docs/metrics.md` explains each name; a test compares. Labels come from closed sets: nothing
/// that a peer chose, no account and no address is in them. Safe from any thread.
package final class CoordinatorMetrics: Sendable {
  /// The registry that `/metrics` prints.
  package let registry: MetricsRegistry

  /// How a sealed request ended.
  enum Outcome: CaseIterable { case done, failed, cancelled }
  /// What became of a receipt.
  enum ReceiptOutcome: CaseIterable { case settled, noted, refused, unbooked }
  /// What became of an acknowledgement of a client.
  enum AckOutcome: CaseIterable { case agreed, noted, held, unknown }
  /// Which bound turned a request away.
  enum Limit: CaseIterable { case address, account, registration, memory, slowBody }

  let requests: Counter
  let bytesToNodes: Counter
  let bytesToGateways: Counter
  let chunks: Counter
  let linksOpened: Counter
  let recordsRefused: Counter
  let settledMicros: Counter
  let promptTokens: Counter
  let completionTokens: Counter
  /// Where the server's own count is read; nothing is counted before it is there.
  let connectionsRefused: Locked<@Sendable () -> Int>
  let housekeepingFailures: Counter
  let snapshots: Counter
  let firstToken: Histogram
  let requestTime: Histogram
  let settleTime: Histogram
  private let refused: [Reason: Counter]
  private let attemptsFailed: [Reason: Counter]
  private let linksClosed: [Reason: Counter]
  private let ended: [Outcome: Counter]
  private let receipts: [ReceiptOutcome: Counter]
  private let acks: [AckOutcome: Counter]
  private let limited: [Limit: Counter]

  let connections: Gauge
  let nodesConnected: Gauge
  let nodesRoutable: Gauge
  let slotsOffered: Gauge
  let slotsBusy: Gauge
  let running: Gauge
  let waiting: Gauge
  let envelopeBytes: Gauge
  let directoryBytes: Gauge
  let openAnswers: Gauge
  let logSize: Gauge
  let draining: Gauge
  let storeUp: Gauge
  let residentBytes: Gauge
  let openFiles: Gauge
  let uptimeSeconds: Gauge

  /// Makes every series at once, so that a scrape of a fresh process has them all at zero.
  package init(registry: MetricsRegistry = MetricsRegistry()) {
    self.registry = registry
    let of = registry
    requests = of.counter("darkbloom_requests_total", "Sealed requests with a good key.")
    bytesToNodes = of.counter(
      "darkbloom_sealed_bytes_total", "Sealed bytes relayed.", ["direction": "to_node"])
    bytesToGateways = of.counter(
      "darkbloom_sealed_bytes_total", "Sealed bytes relayed.", ["direction": "to_gateway"])
    chunks = of.counter("darkbloom_sealed_chunks_total", "Sealed messages of answers relayed.")
    linksOpened = of.counter("darkbloom_links_opened_total", "Node links that were proven.")
    recordsRefused = of.counter(
      "darkbloom_node_records_refused_total", "Node records or proofs that did not hold.")
    settledMicros = of.counter(
      "darkbloom_settled_micros_total", "Micro-units that users paid for closed answers.")
    promptTokens = of.counter(
      "darkbloom_tokens_total", "Tokens of last receipts.", ["kind": "prompt"])
    completionTokens = of.counter(
      "darkbloom_tokens_total", "Tokens of last receipts.", ["kind": "completion"])
    let server = Locked<@Sendable () -> Int>({ 0 })
    connectionsRefused = server
    of.counter(
      "darkbloom_connections_refused_total", "Connections beyond a limit, closed at once."
    ) {
      let read = server.withLock { $0 }
      return UInt64(clamping: read())
    }
    housekeepingFailures = of.counter(
      "darkbloom_housekeeping_failures_total", "Rounds of housekeeping that failed.")
    snapshots = of.counter(
      "darkbloom_directory_snapshots_total", "Directory snapshots published.")
    firstToken = of.histogram(
      "darkbloom_first_token_seconds", "From a request's arrival to its first sealed token.")
    requestTime = of.histogram(
      "darkbloom_request_seconds", "From a request's arrival to the end of its relay.")
    settleTime = of.histogram(
      "darkbloom_settle_seconds", "From a last receipt to its durable settlement.")
    refused = Self.counters(Reason.allCases, \.name) {
      of.counter(
        "darkbloom_requests_refused_total", "Sealed requests refused before any relay.",
        ["reason": $0])
    }
    attemptsFailed = Self.counters(Reason.allCases, \.name) {
      of.counter(
        "darkbloom_attempts_failed_total", "Attempts on a node that failed.", ["reason": $0])
    }
    linksClosed = Self.counters(Reason.allCases, \.name) {
      of.counter(
        "darkbloom_links_closed_total", "Node links closed by this side.", ["reason": $0])
    }
    ended = Self.counters(Outcome.allCases, { "\($0)" }) {
      of.counter("darkbloom_requests_ended_total", "Relays that ended.", ["outcome": $0])
    }
    receipts = Self.counters(ReceiptOutcome.allCases, { "\($0)" }) {
      of.counter("darkbloom_receipts_total", "Receipts that came.", ["outcome": $0])
    }
    acks = Self.counters(AckOutcome.allCases, { "\($0)" }) {
      of.counter("darkbloom_acks_total", "Acknowledgements of clients.", ["outcome": $0])
    }
    limited = Self.counters(Limit.allCases, { "\($0)" }) {
      of.counter("darkbloom_limited_total", "Requests turned away by a bound.", ["limit": $0])
    }
    connections = of.gauge("darkbloom_connections", "Open connections.")
    nodesConnected = of.gauge("darkbloom_nodes", "Nodes.", ["state": "connected"])
    nodesRoutable = of.gauge("darkbloom_nodes", "Nodes.", ["state": "routable"])
    slotsOffered = of.gauge("darkbloom_slots", "Slots of routable nodes.", ["state": "offered"])
    slotsBusy = of.gauge("darkbloom_slots", "Slots of routable nodes.", ["state": "busy"])
    running = of.gauge("darkbloom_requests_running", "Relays under way.")
    waiting = of.gauge("darkbloom_requests_waiting", "Requests that wait for a slot.")
    envelopeBytes = of.gauge("darkbloom_envelope_bytes", "Bytes of envelopes held.")
    directoryBytes = of.gauge(
      "darkbloom_directory_bytes", "Bytes of directory answers on their way.")
    openAnswers = of.gauge("darkbloom_open_answers", "Answers with a reservation.")
    logSize = of.gauge("darkbloom_directory_log_size", "Leaves of the directory's log.")
    draining = of.gauge("darkbloom_draining", "1 while no new work is taken.")
    storeUp = of.gauge("darkbloom_database_up", "0 while the ledger's database is lost.")
    storeUp.set(1)
    residentBytes = of.gauge("darkbloom_resident_bytes", "Memory of the process.")
    openFiles = of.gauge("darkbloom_open_files", "Open descriptors of the process.")
    uptimeSeconds = of.gauge("darkbloom_uptime_seconds", "Seconds since the start.")
  }

  private static func counters<Key: Hashable>(
    _ keys: [Key], _ name: (Key) -> String, _ make: (LogValue) -> Counter
  ) -> [Key: Counter] {
    var counters: [Key: Counter] = [:]
    for key in keys {
      // Names of enum cases are short and plain.
      counters[key] = make(ShortName(Self.snake(name(key))).map { .name($0) } ?? "other")
    }
    return counters
  }

  private static func snake(_ name: String) -> String {
    name.reduce(into: "") { text, character in
      if character.isUppercase { text.append("_") }
      text.append(contentsOf: character.lowercased())
    }
  }

  func refused(_ reason: Reason) { refused[reason]?.add() }
  func attemptFailed(_ reason: Reason) { attemptsFailed[reason]?.add() }
  func linkClosed(_ reason: Reason) { linksClosed[reason]?.add() }
  func ended(_ outcome: Outcome) { ended[outcome]?.add() }
  func receipt(_ outcome: ReceiptOutcome) { receipts[outcome]?.add() }
  func ack(_ outcome: AckOutcome) { acks[outcome]?.add() }
  func limited(_ limit: Limit) { limited[limit]?.add() }
}
