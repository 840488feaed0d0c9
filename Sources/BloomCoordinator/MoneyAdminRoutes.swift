internal import BloomBase
internal import BloomCrypto
internal import BloomHTTP
internal import BloomLedger
internal import BloomNet
internal import BloomStore
internal import BloomWire

/// What the operator asks about money over the local socket.
struct MoneyAdminRoutes: Sendable {
  let desk: MoneyDesk
  let accounts: Accounts
  /// The key that signs policies.
  let key: VerifyingKey

  func add(to router: inout Router) {
    addPrices(to: &router)
    addPolicy(to: &router)
    addPayouts(to: &router)
    addBooks(to: &router)
  }

  // MARK: Prices

  private func addPrices(to router: inout Router) {
    router.post("/prices/list") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let prices = desk.store.read { $0.prices }
        if try body.flag("history") ?? false {
          return .members([
            "history": .array(
              prices.history.map { MoneyJSON.version($0) { desk.catalog.name(of: $0) } })
          ])
        }
        let listed = prices.listPrices
        return .members([
          "version": .integer(prices.version),
          "fallback": MoneyJSON.price(prices.fallbackPrice(version: prices.version)),
          "prices": .array(
            listed.keys.sorted { ($0.model, $0.kind.rawValue) < ($1.model, $1.kind.rawValue) }
              .map { MoneyJSON.price($0, listed[$0], name: desk.catalog.name(of: $0.model)) }),
        ])
      }
    }
    router.post("/prices/set") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let price = try MoneyDesk.price(body)
        let change: PriceChange
        if try body.flag("fallback") ?? false {
          change = .fallback(price)
        } else {
          change = .list(
            PriceKey(
              try desk.model(try body.needed("model")),
              try MoneyDesk.kind(try body.needed("kind"))), price)
        }
        let version = try await desk.change(change)
        return .members(["version": .integer(version), "price": MoneyJSON.price(price)])
      }
    }
  }

  // MARK: Policy

  private func addPolicy(to router: inout Router) {
    router.post("/policy/show") { request in
      try await AccountAnswer.make {
        let (signed, adopted) = desk.store.read { ($0.policy, $0.policies) }
        guard try await JSONBody(request).flag("next") ?? false else {
          return MoneyJSON.policy(signed, since: adopted.last?.time)
        }
        var next = signed.policy
        next.version += 1
        return MoneyJSON.policy(SignedPolicy(next, signature: [], signer: ""), since: nil)
      }
    }
    router.post("/policy/adopt") { request in
      try await AccountAnswer.make {
        let signed = try PolicyFile.read(
          try await JSONBody(request).needed("text"), signedBy: key)
        let inForce = desk.store.read { $0.policy }
        guard signed == inForce || signed.policy.version == inForce.policy.version + 1 else {
          throw AccountError(
            .taken,
            "policy \(inForce.policy.version) is in force, so the next one has version "
              + "\(inForce.policy.version + 1), not \(signed.policy.version)")
        }
        try await desk.store.apply(.adoptPolicy(signed))
        let since = desk.store.read { $0.policies.last?.time }
        return MoneyJSON.policy(signed, since: since)
      }
    }
  }

  // MARK: Payouts

  private func addPayouts(to router: inout Router) {
    router.post("/payouts/list") { request in
      try await AccountAnswer.make {
        let all = try await JSONBody(request).flag("all") ?? false
        return .members(["payouts": .array(try await payouts(all: all).map(MoneyJSON.payout))])
      }
    }
    router.post("/payouts/propose") { request in
      try await AccountAnswer.make {
        let (made, refused) = try await propose(try await JSONBody(request))
        return .members(["payouts": .array(made), "refused": .array(refused)])
      }
    }
    router.post("/payouts/export") { _ in
      do {
        let text = ManualRail.export(try await payouts(all: false))
        return .bytes(Array(text.utf8), type: MoneyDesk.csvType)
      } catch {
        return try AccountAnswer.failure(error)
      }
    }
    router.post("/payouts/confirm") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let id = try Self.payout(body)
        try await desk.store.apply(
          .confirmPayout(id, reference: try Self.note(body, "reference")))
        return .members(["payout": .integer(id), "state": .string("confirmed")])
      }
    }
    router.post("/payouts/cancel") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let id = try Self.payout(body)
        try await desk.store.apply(.rejectPayout(id, reason: try Self.note(body, "reason")))
        return .members(["payout": .integer(id), "state": .string("rejected")])
      }
    }
  }

  private func payouts(all: Bool) async throws -> [Payout] {
    guard !all else { return try await desk.store.payouts(of: nil) }
    return desk.store.read { Array($0.payouts.values) }.sorted { $0.id < $1.id }
  }

  /// Asks in the name of one owner, or of everybody who earned enough.
  ///
  /// - Returns: The payouts, and the owners whom the ledger refused one; the others go on.
  private func propose(
    _ body: JSONBody
  ) async throws -> (made: [JSONValue], refused: [JSONValue]) {
    let destination = try body.text("destination")
    if let name = try body.text("account") {
      let record = try accounts.account(name)
      let amount = try body.integer("micros", in: 1...LedgerLimits.amount).map { Micros($0) }
      let payout = try await desk.requestPayout(
        record.account, amount, destination: try await known(destination, record.account),
        key: try body.text("key", upTo: 64))
      return ([payout.map(MoneyJSON.payout) ?? .null], [])
    }
    guard try body.integer("micros", in: 1...LedgerLimits.amount) == nil else {
      throw AccountError(.invalid, "micros needs an account: which is to be paid that much?")
    }
    let (balances, policy) = desk.store.read { ($0.balances, $0.policy.policy) }
    let least = max(policy.minimumPayout, Micros(1))
    var made: [JSONValue] = []
    var refused: [JSONValue] = []
    for (account, balance) in balances.sorted(by: { $0.key < $1.key })
    where !SystemAccount.isReserved(account) && balance.earned >= least {
      let place = try await known(destination, account)
      do {
        let payout = try await desk.requestPayout(
          account, balance.earned, destination: place, key: nil)
        if let payout { made.append(MoneyJSON.payout(payout)) }
      } catch let error as LedgerError {
        refused.append(
          .members([
            "account": .string(account.rawValue), "state": .string("refused"),
            "note": .string(error.publicDescription),
          ]))
      }
    }
    return (made, refused)
  }

  /// Where money goes: as told, as the last time, or to whoever has the account.
  private func known(_ destination: String?, _ account: AccountID) async throws -> String {
    if let destination { return destination }
    return try await desk.store.payouts(of: account, limit: 1).first?.destination
      ?? "account \(account)"
  }

  private static func payout(_ body: JSONBody) throws(AccountError) -> Int64 {
    guard let id = try body.integer("payout", in: 1...Int64.max) else {
      throw AccountError(.invalid, "payout is needed: its number, from admin payouts list")
    }
    return id
  }

  private static func note(_ body: JSONBody, _ name: String) throws(AccountError) -> String {
    let text = try body.needed(name)
    guard (1...LedgerLimits.text).contains(text.utf8.count) else {
      throw AccountError(.invalid, "\(name) has 1 to \(LedgerLimits.text) bytes")
    }
    return text
  }

  // MARK: Books

  private func addBooks(to router: inout Router) {
    router.post("/statement") { request in
      do {
        let body = try await JSONBody(request)
        let account = try accounts.account(try body.needed("account")).account
        var values: [String: String] = [:]
        for name in ["from", "to", "detail", "format"] {
          values[name] = try body.text(name)
        }
        return try await desk.statement(of: account) { values[$0] }
      } catch {
        return try AccountAnswer.failure(error)
      }
    }
    router.post("/deposit") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let account = try accounts.account(try body.needed("account")).account
        let amount = try Self.amount(body)
        try await desk.store.apply(
          .deposit(key: try Self.note(body, "reference"), account, amount))
        let balance = desk.store.balance(of: account)
        return .members([
          "account": .string(account.rawValue), "deposited_micros": .integer(amount.rawValue),
          "credit_micros": .integer(balance.credit.rawValue),
        ])
      }
    }
    router.post("/fund-replay") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        try await desk.store.apply(
          .fundReplay(key: try Self.note(body, "reference"), try Self.amount(body)))
        return books()
      }
    }
    router.post("/books") { _ in try await AccountAnswer.make { books() } }
  }

  private static func amount(_ body: JSONBody) throws(AccountError) -> Micros {
    guard let amount = try body.integer("micros", in: 1...LedgerLimits.amount) else {
      throw AccountError(.invalid, "micros must be a whole number above 0")
    }
    return Micros(amount)
  }

  /// The platform's accounts, and all others together.
  private func books() -> JSONValue {
    let (balances, disputes, payouts, answers, entries) = desk.store.read {
      ($0.balances, $0.disputes.count, $0.payouts.count, $0.answers.count, $0.sequence)
    }
    var all = Balance()
    var sum = Micros.zero
    for (account, balance) in balances {
      sum = sum + balance.total
      guard !SystemAccount.isReserved(account) else { continue }
      for bucket in Bucket.allCases { all[bucket] = all[bucket] + balance[bucket] }
    }
    return .members([
      "platform_micros": .object(
        SystemAccount.allCases.map { account in
          .init(
            String(account.rawValue.dropFirst("platform:".count)),
            .integer((balances[account.id] ?? Balance()).credit.rawValue))
        }),
      "accounts_micros": .object(
        Bucket.allCases.map { .init("\($0)", .integer(all[$0].rawValue)) }),
      "sum_micros": .integer(sum.rawValue), "entries": .integer(entries),
      "open_answers": .integer(answers), "open_disputes": .integer(disputes),
      "pending_payouts": .integer(payouts),
    ])
  }
}
