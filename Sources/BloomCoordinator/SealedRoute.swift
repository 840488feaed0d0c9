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
  let time: any TimeSource
  /// Bytes of envelopes that may be held at once over all requests.
  let budget: ByteBudget

  func respond(to request: Request) async throws -> Response {
    guard let account = accounts.account(authorization: request.headers[.authorization]) else {
      return Self.refusal(.unauthorized)
    }
    let declared = request.headers[.contentLength].flatMap { Int($0) } ?? Limits.envelope
    guard declared <= Limits.envelope else { return Self.refusal(.tooLarge) }
    guard let held = budget.take(declared) else {
      return Self.refusal(.queueFull, retryAfter: .seconds(1))
    }
    // Held until the response body ends: the closure below keeps it alive.
    let bytes = try await request.body.collect(upTo: min(declared, Limits.envelope))
    let sealed: SealedRequest
    do {
      sealed = try read(bytes, account)
    } catch {
      return Self.refusal(.malformed)
    }
    let id = sealed.work.id
    let sink: RelaySink
    do {
      sink = try await hub.submit(sealed)
    } catch let refusal as RelayRefusal {
      return Self.refusal(refusal.reason, retryAfter: refusal.retryAfter)
    } catch let error as LedgerError {
      return Self.refusal(Self.reason(error))
    }
    return .stream("application/darkbloom-res") { [hub] writer in
      defer { _ = held }
      do {
        while let batch = await sink.next() {
          try await writer.write(batch.bytes)
          await hub.consumed(id, byteCount: batch.sealedByteCount)
        }
      } catch {
        await hub.clientLeft(id)
        throw error
      }
      await hub.clientLeft(id)
    }
  }

  private func read(_ bytes: [UInt8], _ account: AccountID) throws -> SealedRequest {
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
      body: Array(bytes[prefix.byteCount...]))
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

  private static func reason(_ error: LedgerError) -> Reason {
    switch error {
    case .insufficientCredit: .noCredit
    case .unknownAnswer: .answerUnknown
    case .previousPartHealthy, .partOutOfOrder, .termsDiffer: .partNotAllowed
    default: .replay
    }
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
    }
  }
}

/// A bound on bytes held at once; what is taken comes back when its holder is released.
final class ByteBudget: Sendable {
  /// Gives its bytes back when released.
  final class Share: Sendable {
    private let budget: ByteBudget
    private let count: Int

    fileprivate init(_ budget: ByteBudget, _ count: Int) {
      self.budget = budget
      self.count = count
    }

    deinit { budget.used.withLock { $0 -= count } }
  }

  private let used = Locked(0)
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  /// Takes bytes; `nil` when the bound would be passed.
  func take(_ count: Int) -> Share? {
    let isTaken = used.withLock { used in
      guard used + count <= limit else { return false }
      used += count
      return true
    }
    return isTaken ? Share(self, count) : nil
  }
}
