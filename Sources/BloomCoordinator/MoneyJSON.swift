internal import BloomBase
internal import BloomLedger
internal import BloomStore
internal import BloomWire

/// How prices, policies, payouts, disputes and usage look in JSON; money in millionths of a unit.
enum MoneyJSON {
  static func price(_ price: Price) -> JSONValue {
    .members([
      "prompt_micros_per_million_tokens": .integer(price.promptPerMillion),
      "completion_micros_per_million_tokens": .integer(price.completionPerMillion),
    ])
  }

  static func price(_ key: PriceKey, _ price: Price?, name: String?) -> JSONValue {
    .members([
      "model": .string(key.model.digest.hex), "name": name.map { .string($0) } ?? .null,
      "kind": .string("\(key.kind)"), "price": price.map { Self.price($0) } ?? .null,
    ])
  }

  static func version(_ version: PriceVersion, name: (ModelID) -> String?) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("version", .integer(version.version)), .init("since", .integer(version.time.seconds)),
    ]
    switch version.change {
    case .fallback(let price):
      members += [.init("for", .string("fallback")), .init("price", Self.price(price))]
    case .list(let key, let price):
      members.append(.init("for", .string("list")))
      members += Self.price(key, price, name: name(key.model)).members ?? []
    case .node(let node, let key, let price):
      members += [.init("for", .string("machine")), .init("machine", .string(node.digest.hex))]
      members += Self.price(key, price, name: name(key.model)).members ?? []
    }
    return .object(members)
  }

  static func policy(_ signed: SignedPolicy, since: UnixTime?) -> JSONValue {
    let policy = signed.policy
    return .members([
      "version": .integer(policy.version), "since": since.map { .integer($0.seconds) } ?? .null,
      "node_share_per_mille": .integer(policy.nodeSharePerMille),
      "pool_share_per_mille": .integer(policy.poolSharePerMille),
      "replays_per_answer": .integer(policy.replaysPerAnswer),
      "replay_per_day_micros": .integer(policy.replayPerDay.rawValue),
      "override_min_per_mille": .integer(policy.overrideMinPerMille),
      "override_max_per_mille": .integer(policy.overrideMaxPerMille),
      "minimum_payout_micros": .integer(policy.minimumPayout.rawValue),
      "signer": .string(signed.signer), "text": .string(PolicyFile.text(signed)),
    ])
  }

  static func payout(_ payout: Payout) -> JSONValue {
    let (state, text): (String, String?) =
      switch payout.state {
      case .requested: ("requested", nil)
      case .confirmed(let reference): ("confirmed", reference)
      case .rejected(let reason): ("rejected", reason)
      }
    return .members([
      "payout": .integer(payout.id), "account": .string(payout.account.rawValue),
      "amount_micros": .integer(payout.amount.rawValue),
      "destination": .string(payout.destination),
      "requested": .integer(payout.requestedAt.seconds), "state": .string(state),
      "note": text.map { .string($0) } ?? .null,
    ])
  }

  /// A dispute as one of its two sides sees it; the other side is not named.
  static func dispute(_ dispute: Dispute, of account: AccountID) -> JSONValue {
    let isPayer = dispute.payer == account
    return .members([
      "entry": .integer(dispute.sequence), "part": .integer(dispute.line.part),
      "side": .string(isPayer ? "user" : "owner"),
      "machine": isPayer ? .null : .string(dispute.line.node.digest.hex),
      "micros": .integer(isPayer ? dispute.line.gross.rawValue : dispute.held.rawValue),
      "opened": .integer(dispute.openedAt.seconds),
    ])
  }

  /// Totals of each day, the newest first, and of all.
  static func usage(_ rows: [UsageKey: Usage], _ period: MoneyPeriod) -> JSONValue {
    var days: [Int32: [UsageKey.Role: Usage]] = [:]
    var all: [UsageKey.Role: Usage] = [:]
    for (key, usage) in rows {
      days[key.day, default: [:]][key.role, default: Usage()].add(usage)
      all[key.role, default: Usage()].add(usage)
    }
    return .members([
      "from": .string("\(period.first)"), "to": .string("\(period.last)"),
      "days": .array(
        days.keys.sorted(by: >).map { day in
          .object(
            [.init("date", .string("\(CivilDay(day))"))] + sides(days[day] ?? [:]))
        }),
      "total": .object(sides(all)),
    ])
  }

  private static func sides(_ usage: [UsageKey.Role: Usage]) -> [JSONValue.Member] {
    let asked = usage[.user] ?? Usage()
    let served = usage[.owner] ?? Usage()
    return [
      .init(
        "asked",
        .members([
          "answers": .integer(asked.answers), "prompt_tokens": .integer(asked.promptTokens),
          "completion_tokens": .integer(asked.completionTokens),
          "paid_micros": .integer(asked.gross.rawValue),
        ])),
      .init(
        "served",
        .members([
          "parts": .integer(served.answers), "prompt_tokens": .integer(served.promptTokens),
          "completion_tokens": .integer(served.completionTokens),
          "earned_micros": .integer(
            (served.gross - served.fee + served.replayPaid).rawValue),
        ])),
    ]
  }
}
