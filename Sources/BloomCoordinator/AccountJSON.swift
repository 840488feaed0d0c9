internal import BloomBase
internal import BloomHTTP
internal import BloomLedger
internal import BloomNet
internal import BloomRecords
internal import BloomStore
internal import BloomWire

/// How accounts, keys, machines and pools look in JSON; times are seconds since 1970, UTC.
enum AccountJSON {
  static func account(_ record: AccountRecord, _ balance: Balance) -> JSONValue {
    .members([
      "account": .string(record.account.rawValue), "name": .string(record.name),
      "created": .integer(record.createdAt.seconds),
      "blocked": record.blockedReason.isEmpty ? .null : .string(record.blockedReason),
      "credit_micros": .integer(balance.credit.rawValue),
      "earned_micros": .integer(balance.earned.rawValue),
      "reserved_micros": .integer(balance.reserved.rawValue),
      "held_micros": .integer(balance.held.rawValue),
      "payout_micros": .integer(balance.payout.rawValue),
    ])
  }

  static func key(_ key: APIKeyRecord, _ spend: KeySpendRecord?) -> JSONValue {
    .members([
      "id": .string(key.label), "name": .string(key.name),
      "account": .string(key.account.rawValue), "created": .integer(key.createdAt.seconds),
      "revoked": time(key.revokedAt), "manages_account": .bool(key.managesAccount),
      "limits": limits(key.limits),
      "spent_today_micros": spend.map { .integer($0.daySpent.rawValue) } ?? .null,
      "spent_this_month_micros": spend.map { .integer($0.monthSpent.rawValue) } ?? .null,
    ])
  }

  static func limits(_ limits: KeyLimits) -> JSONValue {
    .members([
      "micros_per_day": limits.perDay.map { .integer($0.rawValue) } ?? .null,
      "micros_per_month": limits.perMonth.map { .integer($0.rawValue) } ?? .null,
      "requests_per_minute": limits.requestsPerMinute.map { .integer($0) } ?? .null,
      "models": .array(limits.models.map { .string($0.digest.hex) }),
      "pool": text(limits.pool), "region": text(limits.region),
      "tier": .string(tier(limits.minimumTier)), "expires": time(limits.expires),
    ])
  }

  static func node(_ node: OwnedNodeRecord, isConnected: Bool) -> JSONValue {
    .members([
      "node": .string(node.node.digest.hex), "owner": .string(node.owner.rawValue),
      "name": .string(node.name), "joined": .integer(node.joinedAt.seconds),
      "region": node.region.isEmpty ? .null : .string(node.region),
      "private": .bool(node.isPrivate), "connected": .bool(isConnected),
    ])
  }

  static func invite(_ invite: InviteRecord) -> JSONValue {
    .members([
      "id": .string(String(invite.id.prefix(16))), "for": .string("\(invite.purpose)"),
      "inviter": .string(invite.inviter.rawValue),
      "pool": invite.pool.isEmpty ? .null : .string(invite.pool),
      "credit_micros": .integer(invite.credit.rawValue), "uses_left": .integer(invite.usesLeft),
      "expires": time(invite.expires),
    ])
  }

  static func pool(
    _ pool: PoolRecord, _ machines: [OwnedNodeRecord], connected: Set<NodeID>
  ) -> JSONValue {
    .members([
      "pool": .string(pool.name), "owner": .string(pool.owner.rawValue),
      "created": .integer(pool.createdAt.seconds),
      "members": .array(pool.members.map { .string($0.rawValue) }),
      "machines": .array(
        machines.map { node($0, isConnected: connected.contains($0.node)) }),
      "policy": .members([
        "tier": .string(tier(pool.policy.minimumTier)), "region": text(pool.policy.region),
        "models": .array(pool.policy.models.map { .string($0.digest.hex) }),
        "machines": .array(pool.nodes.map { .string($0.digest.hex) }),
        "members_invite": .bool(pool.policy.membersInvite),
        "maximum_members": .integer(pool.policy.maximumMembers),
      ]),
    ])
  }

  static func event(_ event: PoolEventRecord) -> JSONValue {
    .members([
      "time": .integer(event.time.seconds), "action": .string("\(event.action)"),
      "account": .string(event.account.rawValue), "subject": .string(event.subject),
      "machine": event.node.map { .string($0.digest.hex) } ?? .null,
      "model": event.model.map { .string($0.digest.hex) } ?? .null,
      "prompt_tokens": .integer(event.promptTokens),
      "completion_tokens": .integer(event.completionTokens),
    ])
  }

  /// RFC 4180; no field can hold a comma, a quote or a line break.
  static func csv(_ events: [PoolEventRecord]) -> String {
    var text = "time,action,account,subject,machine,model,prompt_tokens,completion_tokens\r\n"
    for event in events {
      text += "\(event.time.seconds),\(event.action),\(event.account),\(event.subject),"
      text += "\(event.node?.digest.hex ?? ""),\(event.model?.digest.hex ?? ""),"
      text += "\(event.promptTokens),\(event.completionTokens)\r\n"
    }
    return text
  }

  static func subject(_ subject: DeviceSubject) -> JSONValue {
    switch subject.kind {
    case .key(let pool):
      .members(["kind": .string("key"), "name": .string(subject.name), "pool": text(pool)])
    case .node(let node, let region, let isPrivate):
      .members([
        "kind": .string("node"), "name": .string(subject.name), "node": .string(node.digest.hex),
        "region": region.isEmpty ? .null : .string(region), "private": .bool(isPrivate),
      ])
    }
  }

  static func tier(_ number: UInt8) -> String {
    "\(Tier(rawValue: number) ?? .hardware)"
  }

  private static func time(_ time: UnixTime?) -> JSONValue {
    time.map { .integer($0.seconds) } ?? .null
  }

  private static func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
}

/// Answers JSON, and errors as `{"error": {"reason", "message"}}`.
enum AccountAnswer {
  /// Runs a handler; what it throws becomes an answer that says what is wrong.
  static func make(_ body: () async throws -> JSONValue) async throws -> Response {
    do {
      return .json(try await body().encoded)
    } catch {
      return try failure(error)
    }
  }

  /// The answer for an error.
  ///
  /// - Throws: Errors of the transport and cancellation, which are not the caller's.
  static func failure(_ error: any Error) throws -> Response {
    switch error {
    case let error as AccountError:
      var response = make(error.code.rawValue, error.publicDescription, error.status)
      if error.code == .slowDown { response.headers.add(.retryAfter, HTTPFieldValue(600)) }
      return response
    case let refusal as RelayRefusal:
      var response = make(
        refusal.reason.name, Self.text(refusal.reason), refusal.reason.httpStatus)
      if let wait = refusal.retryAfter {
        response.headers.add(.retryAfter, HTTPFieldValue(Int(wait.components.seconds) + 1))
      }
      return response
    case let error as StoreError where error.code == .conflict:
      return make("conflict", "somebody else was faster; try again", 409)
    case let error as StoreError: return make("unavailable", error.publicDescription, 503)
    case let error as LedgerError: return make("ledger", error.publicDescription, 409)
    default: throw error
    }
  }

  private static func text(_ reason: Reason) -> String {
    switch reason {
    case .unauthorized: "the API key is missing, unknown or revoked; run: darkbloom login"
    case .keyExpired: "the API key has expired; run: darkbloom login"
    case .notAllowed: "the account is blocked; ask the network's operator"
    case .rateLimited: "too many attempts from this address; wait some minutes"
    default: reason.name
    }
  }

  private static func make(_ reason: String, _ message: String, _ status: Int) -> Response {
    .json(
      JSONValue.members([
        "error": .members(["reason": .string(reason), "message": .string(message)])
      ]).encoded, status: HTTPStatus(status) ?? .internalServerError)
  }
}
