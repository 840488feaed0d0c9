internal import BloomBase
internal import BloomHTTP
internal import BloomLedger
internal import BloomNet
internal import BloomStore
internal import BloomWire

/// What operator and users ask of the ledger, with every value checked.
struct MoneyDesk: Sendable {
  /// Entries of one page of a statement of single answers.
  private static let pageEntries = 5_000
  /// Movements that are no answers in one summary; beyond, the single answers' pages have all.
  private static let movementsMax = 100_000

  let store: LedgerStore
  let catalog: ManifestCatalog
  let time: any TimeSource

  // MARK: Prices

  /// A model by its name in the catalog, or by its digest.
  ///
  /// - Throws: ``AccountError`` `invalid` or `notFound`.
  func model(_ text: String) throws(AccountError) -> ModelID {
    if text.utf8.count == 64, let digest = Hex.decode(text).flatMap({ Digest($0) }) {
      return ModelID(digest)
    }
    let known = catalog.models(named: text)
    guard let model = known.first else {
      throw AccountError(
        .notFound, "no model of the catalog has this name; give its digest, 64 hexadecimal digits")
    }
    guard known.count == 1 else {
      throw AccountError(
        .invalid, "\(known.count) models of the catalog have this name; give a digest")
    }
    return model
  }

  /// A kind of job by its name.
  static func kind(_ text: String) throws(AccountError) -> BloomLedger.JobKind {
    guard let kind = BloomLedger.JobKind.allCases.first(where: { "\($0)" == text }) else {
      let names = BloomLedger.JobKind.allCases.map { "\($0)" }.joined(separator: ", ")
      throw AccountError(.invalid, "kind must be one of \(names)")
    }
    return kind
  }

  /// The price of a request; both numbers are needed.
  static func price(_ body: JSONBody) throws(AccountError) -> Price {
    let range = 0...LedgerLimits.pricePerMillion
    guard let prompt = try body.integer("prompt_micros", in: range),
      let completion = try body.integer("completion_micros", in: range),
      let price = Price(promptPerMillion: prompt, completionPerMillion: completion)
    else {
      throw AccountError(
        .invalid,
        "prompt_micros and completion_micros are needed: micro-units a million tokens, in "
          + "0…\(LedgerLimits.pricePerMillion)")
    }
    return price
  }

  /// Makes the next version of the price table, unless the change says what is in force.
  ///
  /// - Returns: The version in force.
  /// - Throws: `StoreError` when it was not kept.
  func change(_ change: PriceChange) async throws -> Int {
    let (isSame, version) = store.read { ledger in
      let prices = ledger.prices
      let same =
        switch change {
        case .fallback(let price):
          prices.version > 0 && prices.fallbackPrice(version: prices.version) == price
        case .list(let key, let price): prices.listPrices[key] == price
        case .node(let node, let key, let price): prices.ownPrices(of: node)[key] == price
        }
      return (same, prices.version)
    }
    if isSame { return version }
    guard case .version(let made) = try await store.apply(.changePrice(change)) else {
      return version
    }
    return made
  }

  // MARK: Statements

  /// A statement as JSON or CSV, by days or answer by answer.
  ///
  /// - Parameters:
  ///   - account: Whose.
  ///   - value: The request's parameters: `from`, `to`, `detail`, `format`.
  /// - Returns: The answer; single answers are read while they are sent.
  /// - Throws: ``AccountError`` `invalid`, or `StoreError`.
  func statement(of account: AccountID, _ value: (String) -> String?) async throws -> Response {
    let period = try MoneyPeriod(from: value("from"), to: value("to"), now: time.unixTime())
    let isCSV: Bool
    switch value("format") ?? "json" {
    case "json": isCSV = false
    case "csv": isCSV = true
    default: throw AccountError(.invalid, "format must be json or csv")
    }
    switch value("detail") ?? "days" {
    case "days":
      let summary = try await store.summary(
        of: account, days: period.days, limit: Self.movementsMax)
      let names = catalog.listedNames
      return isCSV
        ? .bytes(Array(summary.csv(names: names).utf8), type: Self.csvType)
        : .json(summary.json(names: names))
    case "answers": return try await answers(of: account, period, isCSV: isCSV)
    default: throw AccountError(.invalid, "detail must be days or answers")
    }
  }

  static let csvType: HTTPFieldValue = "text/csv; charset=utf-8"

  /// Single answers, page by page as the reader takes them: memory holds one page.
  private func answers(
    of account: AccountID, _ period: MoneyPeriod, isCSV: Bool
  ) async throws -> Response {
    @Sendable func page(after sequence: Int64) async throws -> Statement {
      try await store.statement(
        of: account, in: period.seconds, after: sequence, limit: Self.pageEntries)
    }
    // What cannot be read at all is an error with a status, not a body that breaks off.
    let first = try await page(after: 0)
    let names = catalog.listedNames
    var response = isCSV ? Response.bytes([], type: Self.csvType) : Response.json("")
    response.body = .stream { writer in
      var part = first
      var separator = ""
      var change = Micros.zero
      try await writer.write(
        isCSV ? Statement.csvHeading : "{\"account\":\"\(account)\",\"lines\":[")
      // Every entry of an account has a line: a page without one is behind the last.
      while let last = part.lines.last?.sequence {
        try await writer.write(
          separator + (isCSV ? part.csvLines(names: names) : part.jsonLines(names: names)))
        if !isCSV { separator = "," }
        change = change + part.change
        part = try await page(after: last)
      }
      if !isCSV { try await writer.write("],\"change_micros\":\(change.rawValue)}") }
    }
    return response
  }

  // MARK: Payouts

  /// Where a payout goes, as the rail will read it.
  ///
  /// - Throws: ``AccountError`` `invalid` for texts that a spreadsheet would take for a formula.
  static func destination(_ text: String) throws(AccountError) -> String {
    guard (1...LedgerLimits.text).contains(text.utf8.count),
      text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }),
      // With a scalar that joins it, a sign would be another character.
      let first = text.unicodeScalars.first, !"=+-@ ".unicodeScalars.contains(first)
    else {
      throw AccountError(
        .invalid,
        "a destination has 1 to \(LedgerLimits.text) bytes without control characters "
          + "and does not begin with =, +, -, @ or a space")
    }
    return text
  }

  /// Asks for a payout.
  ///
  /// - Parameters:
  ///   - account: Whose.
  ///   - amount: How much; everything earned that is not held when `nil`.
  ///   - destination: Where to.
  ///   - key: The same payout is asked for once under one key.
  /// - Returns: The payout, pending.
  /// - Throws: `LedgerError` when it cannot be covered or is too small, or ``AccountError``.
  func requestPayout(
    _ account: AccountID, _ amount: Micros?, destination: String, key: String?
  ) async throws -> Payout? {
    let amount = amount ?? store.balance(of: account).earned
    let key = key ?? "payout:\(Int.random(in: 0..<Int.max))"
    let outcome = try await store.apply(
      .requestPayout(
        key: key, account, amount, destination: try Self.destination(destination)))
    guard case .posted(let id) = outcome else { return nil }
    if let pending = store.read({ $0.payouts[id] }) { return pending }
    return try await store.payouts(of: account).first { $0.id == id }
  }
}
