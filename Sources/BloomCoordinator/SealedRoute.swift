internal import BloomBase
internal import BloomHTTP
internal import BloomLedger
internal import BloomNet
internal import BloomRecords
internal import BloomSchedule
internal import BloomStore
internal import BloomWire

/// `POST /v1/sealed`: an envelope in, outer records out.
struct SealedRoute: Sendable {
  let hub: Hub
  let accounts: Accounts
  let pools: Pools
  let time: any TimeSource
  /// Bytes of envelopes that may be held at once over all requests.
  let budget: ByteBudget<AccountID>
  let limits: RequestLimits
  let metrics: CoordinatorMetrics

  func respond(to request: Request) async throws -> Response {
    do {
      return try await relay(request)
    } catch let refusal as RelayRefusal {
      metrics.refused(refusal.reason)
      return Self.refusal(refusal.reason, retryAfter: refusal.retryAfter)
    } catch let error as LedgerError {
      let reason = error.wire
      metrics.refused(reason)
      return Self.refusal(reason)
    } catch let error as StoreError {
      let reason: Reason = error.code == .overloaded ? .queueFull : .draining
      metrics.refused(reason)
      return Self.refusal(reason, retryAfter: .seconds(2))
    }
  }

  private func relay(_ request: Request) async throws -> Response {
    let caller = try accounts.caller(
      authorization: request.headers[.authorization], now: time.unixTime()
    ).get()
    if let wait = limits.account(caller.account) {
      throw RelayRefusal(reason: .rateLimited, retryAfter: wait)
    }
    // Held until the response body ends: the closure below keeps it alive.
    let held = budget.share(of: caller.account)
    let bytes = try await body(of: request, held)
    var sealed: SealedRequest
    do {
      sealed = try read(bytes, caller)
    } catch {
      throw RelayRefusal(reason: .malformed, retryAfter: nil)
    }
    if let reason = RequestTerms.narrow(
      &sealed.work, by: caller.key.limits, pool: { pools.pool($0) })
    {
      throw RelayRefusal(reason: reason, retryAfter: nil)
    }
    let id = sealed.work.id
    let sink = try await hub.submit(sealed)
    let placement = await hub.placement(of: id)
    var response = Response.stream("application/darkbloom-res") { [hub] writer in
      defer { _ = held }
      do {
        while let batch = await sink.next() {
          try await writer.write(batch.bytes)
          await hub.consumed(id, batch)
        }
      } catch {
        await hub.clientLeft(id)
        throw error
      }
      await hub.clientLeft(id)
    }
    if let placement, let value = try? HTTPFieldValue(placement) {
      response.headers.add("Darkbloom-Placement", value)
    }
    return response
  }

  /// The envelope, counted as it comes; who sends slower than a bad line is turned away.
  private func body(of request: Request, _ held: ByteBudget<AccountID>.Share) async throws
    -> [UInt8]
  {
    let declared = request.headers[.contentLength].flatMap { Int($0) } ?? 0
    guard declared <= Limits.envelope else {
      throw RelayRefusal(reason: .tooLarge, retryAfter: nil)
    }
    let start = time.now()
    var bytes: [UInt8] = []
    for try await chunk in request.body {
      guard bytes.count + chunk.count <= Limits.envelope else {
        throw RelayRefusal(reason: .tooLarge, retryAfter: nil)
      }
      guard held.grow(by: chunk.count) else {
        metrics.limited(.memory)
        throw RelayRefusal(reason: .queueFull, retryAfter: .seconds(1))
      }
      if bytes.isEmpty { bytes = chunk } else { bytes += chunk }
      let allowed = 10 + Double(bytes.count) / Self.slowestBytesPerSecond
      guard time.now() - start <= .milliseconds(Int64(allowed * 1000)) else {
        metrics.limited(.slowBody)
        throw RelayRefusal(reason: .deadline, retryAfter: nil)
      }
    }
    return bytes
  }

  /// After ten seconds' grace an envelope must come at least this fast.
  private static let slowestBytesPerSecond = 16_384.0

  private func read(_ bytes: [UInt8], _ caller: Caller) throws -> SealedRequest {
    let account = caller.account
    guard let prefix = try EnvelopePrefix.read(bytes),
      bytes.count - prefix.byteCount == prefix.bodyByteCount
    else { throw RecordError.invalid("the envelope's size") }
    let routing = prefix.head.routing
    guard
      let candidates = UpToFour(
        prefix.candidates.map { BloomSchedule.Candidate(node: $0.node, key: $0.key) }),
      let kind = BloomLedger.JobKind(routing.kind), (0...15).contains(routing.part)
    else { throw RecordError.invalid("the routing") }
    let now = time.now()
    let work = WorkRequest(
      id: RequestID(answer: routing.answer, part: UInt16(routing.part)), account: account,
      model: routing.model, candidates: candidates, inputBytes: routing.paddedByteCount,
      output: OutputClass(rawValue: routing.tokenClass.rawValue) ?? .tokens64k,
      deadline: now + .milliseconds(routing.deadlineMilliseconds),
      constraints: PlacementConstraints(
        tier: BloomSchedule.Tier(rawValue: routing.constraints.minimumTier.rawValue) ?? .hardware,
        region: routing.constraints.region, pool: routing.constraints.pool,
        priceCap: routing.constraints.priceCap))
    let reservation = Reservation(
      answer: routing.answer, payer: account, model: routing.model, kind: kind,
      maxPromptTokens: routing.paddedByteCount + ReceiptRules.templateTokens,
      maxCompletionTokens: routing.tokenClass.tokens, deadline: time.unixTime() + 7200)
    return SealedRequest(
      work: work, reservation: reservation, prefix: prefix,
      body: Array(bytes[prefix.byteCount...]), key: caller.key)
  }

  static func refusal(_ reason: Reason, retryAfter: Duration? = nil) -> Response {
    var response = Response.json(
      JSONValue.members([
        "error": .members([
          "reason": .string(reason.name), "retriable": .bool(reason.isRetriable),
        ])
      ]).encoded, status: HTTPStatus(reason.httpStatus) ?? .internalServerError)
    if let retryAfter {
      response.headers.add(.retryAfter, HTTPFieldValue(Int(retryAfter.components.seconds) + 1))
    }
    return response
  }
}

extension BloomLedger.JobKind {
  init?(_ kind: BloomWire.JobKind) {
    switch kind {
    case .chat: self = .chat
    case .completion: self = .completion
    case .embeddings: self = .embeddings
    case .transcription: self = .transcription
    case .rerank: self = .rerank
    case .count: self = .count
    }
  }
}
