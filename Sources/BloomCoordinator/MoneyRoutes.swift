internal import BloomBase
internal import BloomHTTP
internal import BloomLedger
internal import BloomNet
internal import BloomStore
internal import BloomWire

/// What users and owners ask about money: statements, usage, payouts, disputes, own prices.
struct MoneyRoutes: Sendable {
  let account: AccountRoutes
  let desk: MoneyDesk
  private let priceChanges: Locked<TokenBuckets<AccountID>>

  /// Changes of own prices of one account in a day: each is kept for ever.
  private static let priceChangesPerDay = 200.0

  init(account: AccountRoutes, desk: MoneyDesk) {
    self.account = account
    self.desk = desk
    priceChanges = Locked(
      TokenBuckets(
        perSecond: Self.priceChangesPerDay / 86_400, burst: Self.priceChangesPerDay,
        capacity: 10_000))
  }

  func add(to router: inout Router) {
    addViews(to: &router)
    addPayouts(to: &router)
    addDisputes(to: &router)
    addPrices(to: &router)
  }

  // MARK: Views

  private func addViews(to router: inout Router) {
    router.get("/v1/policy") { _ in
      try await AccountAnswer.make {
        let (signed, since) = desk.store.read { ($0.policy, $0.policies.last?.time) }
        return MoneyJSON.policy(signed, since: since)
      }
    }
    router.get("/v1/statement") { request in
      do {
        let caller = try account.caller(request)
        return try await desk.statement(of: caller.account) { request.query($0) }
      } catch {
        return try AccountAnswer.failure(error)
      }
    }
    router.get("/v1/usage") { request in
      try await AccountAnswer.make {
        let caller = try account.caller(request)
        let period = try MoneyPeriod(
          from: request.query("from"), to: request.query("to"), now: desk.time.unixTime())
        let rows = try await desk.store.usage(of: caller.account, days: period.days)
        return MoneyJSON.usage(rows, period)
      }
    }
  }

  // MARK: Payouts

  private func addPayouts(to router: inout Router) {
    router.get("/v1/payouts") { request in
      try await AccountAnswer.make {
        let caller = try account.caller(request)
        let payouts = try await desk.store.payouts(of: caller.account)
        return .members(["payouts": .array(payouts.map(MoneyJSON.payout))])
      }
    }
    router.post("/v1/payouts") { request in
      try await AccountAnswer.make {
        let caller = try account.manager(request)
        let body = try await JSONBody(request)
        let amount = try body.integer("micros", in: 1...LedgerLimits.amount).map { Micros($0) }
        // Of one's own account: nobody meets another's key.
        let key = try body.text("key", upTo: 40).map { "\(caller.account):\($0)" }
        let payout = try await desk.requestPayout(
          caller.account, amount, destination: try body.needed("destination"), key: key)
        return payout.map(MoneyJSON.payout) ?? .object([])
      }
    }
  }

  // MARK: Disputes

  private func addDisputes(to router: inout Router) {
    router.get("/v1/disputes") { request in
      try await AccountAnswer.make {
        let me = try account.caller(request).account
        let mine = desk.store.read { ledger in
          ledger.disputes.values.filter { $0.payer == me || $0.line.owner == me }
        }
        return .members([
          "disputes": .array(
            mine.sorted { ($0.sequence, $0.line.part) < ($1.sequence, $1.line.part) }
              .map { MoneyJSON.dispute($0, of: me) })
        ])
      }
    }
    router.post("/v1/disputes") { request in
      try await AccountAnswer.make {
        let me = try account.caller(request).account
        let body = try await JSONBody(request)
        let part = Int(try body.integer("part", in: 0...15) ?? 0)
        let sequence = try await settlement(body, of: me)
        let entry = DisputeID(sequence: sequence, part: part)
        if desk.store.read({ $0.disputes[entry] }) == nil {
          try await desk.store.openDispute(sequence: sequence, part: part, payer: me)
        }
        guard let dispute = desk.store.read({ $0.disputes[entry] }) else {
          throw AccountError(.taken, "this line was questioned before and the operator has decided")
        }
        return MoneyJSON.dispute(dispute, of: me)
      }
    }
  }

  /// The entry that a body names, by its number or by the answer and when it ended.
  private func settlement(_ body: JSONBody, of payer: AccountID) async throws -> Int64 {
    if let number = try body.integer("entry", in: 1...Int64.max - 1) { return number }
    guard try body.text("answer") != nil,
      let ended = try body.integer("ended", in: 0...253_402_300_799)
    else {
      throw AccountError(
        .invalid, "entry, or answer with ended, are needed: a statement or a receipt has them")
    }
    guard let answer = AnswerID(try body.bytes("answer")) else {
      throw AccountError(.invalid, "answer must be 32 hexadecimal digits")
    }
    let found = try await desk.store.settlement(
      of: answer, payer: payer, ended: UnixTime(ended))
    guard let found else {
      throw AccountError(
        .notFound,
        "your account paid for no such answer, or it is not settled yet: try again "
          + "in some minutes")
    }
    return found.sequence
  }

  // MARK: Own prices

  private func addPrices(to router: inout Router) {
    router.get("/v1/nodes/:node/price") { request in
      try await AccountAnswer.make {
        let node = try own(request, try account.caller(request))
        let (own, policy) = desk.store.read {
          ($0.prices.ownPrices(of: node), $0.policy.policy)
        }
        let most = await account.hub.highestPrice(of: node, within: policy.overrideMaxPerMille)
        return .members([
          "node": .string(node.digest.hex),
          "prices": .array(
            own.keys.sorted {
              ($0.model, $0.kind.rawValue) < ($1.model, $1.kind.rawValue)
            }.map {
              MoneyJSON.price($0, own[$0], name: desk.catalog.name(of: $0.model))
            }),
          "least_per_mille": .integer(policy.overrideMinPerMille),
          "most_per_mille": .integer(most),
        ])
      }
    }
    router.post("/v1/nodes/:node/price") { request in
      try await AccountAnswer.make {
        let caller = try account.manager(request)
        let node = try own(request, caller)
        let body = try await JSONBody(request)
        let key = PriceKey(
          try desk.model(try body.needed("model")),
          try MoneyDesk.kind(try body.text("kind") ?? "chat"))
        let price = try body.flag("remove") ?? false ? nil : try MoneyDesk.price(body)
        let (list, policy) = desk.store.read {
          ($0.prices.listPrice(key, version: $0.prices.version), $0.policy.policy)
        }
        if let price {
          let most = await account.hub.highestPrice(of: node, within: policy.overrideMaxPerMille)
          try Self.check(price, list, policy.overrideMinPerMille...most)
        }
        if let wait = priceChanges.withLock({
          $0.take(from: caller.account, now: desk.time.now())
        }) {
          throw RelayRefusal(reason: .rateLimited, retryAfter: wait)
        }
        let version = try await desk.change(.node(node, key, price))
        return .members([
          "node": .string(node.digest.hex), "version": .integer(version),
          "own": MoneyJSON.price(key, price, name: desk.catalog.name(of: key.model)),
          "list": MoneyJSON.price(list),
        ])
      }
    }
  }

  private static func check(
    _ price: Price, _ list: Price, _ perMille: ClosedRange<Int>
  ) throws(AccountError) {
    let least = list.scaled(perMille: perMille.lowerBound)
    let most = list.scaled(perMille: perMille.upperBound)
    guard price == price.raised(to: least).capped(by: most) else {
      throw AccountError(
        .invalid,
        """
        the list price is \(list.promptPerMillion) and \(list.completionPerMillion); a machine may \
        ask for \(least.promptPerMillion)…\(most.promptPerMillion) and \
        \(least.completionPerMillion)…\(most.completionPerMillion) micro-units a million tokens; \
        how far above the list goes by its score: darkbloom node status
        """)
    }
  }

  /// The machine of a path, which must be the caller's.
  private func own(_ request: Request, _ caller: Caller) throws(AccountError) -> NodeID {
    let bytes = request.parameters["node"].flatMap { Hex.decode($0) }
    guard let node = bytes.flatMap({ NodeID($0) }),
      account.enrolment.nodes(of: caller.account).contains(where: { $0.node == node })
    else { throw AccountError(.notFound, "the machine is in no account of yours") }
    return node
  }
}
