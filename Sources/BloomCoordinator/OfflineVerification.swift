internal import BloomBase
internal import BloomCrypto
package import BloomLedger
internal import BloomPlatform
internal import BloomRecords
package import BloomStore
internal import BloomWire

/// Recomputes a ledger from its entries, and proves every kept receipt from its signatures.
///
/// Needs no network and no running coordinator: a store, and nothing that the store says is taken
/// on trust but its prices and policies, which the entries name.
package struct OfflineVerification: Equatable, Sendable {
  /// Entries of the ledger.
  package var entries: Int64 = 0
  /// Accounts with a balance, the platform's own included.
  package var accounts = 0
  /// Answers that were closed.
  package var settlements = 0
  /// Receipts whose signatures, machine, answer and counts hold.
  package var receipts = 0
  /// Lines whose receipt is not kept: older than the kept period, or of a crash.
  package var receiptsMissing = 0
  /// The sum of all balances of users and owners by bucket.
  package var totals = Balance()
  /// What is wrong; empty when all is right, at most 1,000.
  package var findings: [String] = []

  /// Checks a store that nobody writes to meanwhile.
  ///
  /// - Throws: `StoreError` when the store cannot be read.
  package init(_ backend: any StoreBackend) async throws {
    let audit = try await backend.verify()
    entries = audit.entryCount
    accounts = audit.balances.count
    findings = audit.findings
    for (account, balance) in audit.balances where !SystemAccount.isReserved(account) {
      for bucket in Bucket.allCases { totals[bucket] = totals[bucket] + balance[bucket] }
    }
    try await checkReceipts(of: backend)
  }

  private mutating func checkReceipts(of backend: any StoreBackend) async throws {
    var statements: [Digest: KeyStatement] = [:]
    var last: Int64 = 0
    while true {
      let page = try await backend.entries(after: last, limit: 5_000)
      guard let oldest = page.first?.sequence, let newest = page.last?.sequence, newest > last
      else { return }
      last = newest
      let proofs = try await backend.proofs(oldest...newest)
      for entry in page {
        guard let answer = entry.answer, let record = entry.settlement else { continue }
        settlements += 1
        for line in record.lines {
          let id = DisputeID(sequence: entry.sequence, part: line.part)
          guard let proof = proofs[id] else {
            receiptsMissing += 1
            continue
          }
          do {
            guard let kept = ReceiptProof.read(proof) else { throw Fault("is damaged") }
            if statements[kept.statement] == nil {
              if statements.count > 10_000 { statements = [:] }
              statements[kept.statement] = try await Self.statement(kept.statement, backend)
            }
            guard let statement = statements[kept.statement] else {
              throw Fault("has no statement that vouches for its key")
            }
            try Self.check(kept.receipt, statement, line, answer, record.model)
            receipts += 1
          } catch let error as StoreError {
            throw error
          } catch {
            let what = (error as? Fault)?.text ?? error.safeDescription
            add("entry \(entry.sequence): the receipt of part \(line.part) \(what)")
          }
        }
      }
    }
  }

  private struct Fault: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }

  private static func statement(
    _ digest: Digest, _ backend: any StoreBackend
  ) async throws -> KeyStatement? {
    let key = Record.Key(.receipt, KeyStatementRecord.id(digest))
    guard let row = try await backend.record(key) else { return nil }
    let kept = try KeyStatementRecord(packed: row.body, expires: row.expires)
    guard SHA256.digest(kept.bytes) == digest else { throw Fault("names a statement that differs") }
    return try KeyStatement(verifying: kept.bytes)
  }

  private static func check(
    _ bytes: [UInt8], _ statement: KeyStatement, _ line: SettlementLine, _ answer: AnswerID,
    _ model: ModelID
  ) throws {
    guard SHA256.digest(bytes) == line.receipt else { throw Fault("is another than was paid") }
    let unverified = try Receipt(unverified: bytes)
    guard let keys = statement.workers.first(where: { $0.keyID == unverified.claims.key }) else {
      throw Fault("is signed by a key that nobody vouches for")
    }
    let claims = try Receipt(verifying: bytes, key: keys.receiptKey).claims
    guard claims.node == statement.nodeID, claims.node == line.node else {
      throw Fault("is of another machine")
    }
    guard claims.answer == answer, claims.part == line.part else {
      throw Fault("is of another answer")
    }
    guard claims.model == model, keys.model == model else { throw Fault("is of another model") }
    guard claims.release == statement.release, claims.engine == statement.engine,
      claims.evidence == statement.evidence
    else { throw Fault("is of other software than its statement") }
    guard line.promptTokens <= claims.promptTokens,
      line.completionTokens + line.duplicateTokens <= claims.completionTokens,
      // The pool pays for the prompt too where another part had brought it.
      line.replayedTokens <= claims.replayedTokens + claims.promptTokens
    else { throw Fault("says fewer tokens than were paid") }
  }

  /// Every adopted policy must bear the network's own signature.
  private mutating func checkPolicies(
    of backend: any StoreBackend, signedBy key: VerifyingKey
  ) async throws {
    // In the far future no entry is recent, so that none is read.
    for adopted in try await backend.load(now: UnixTime(.max / 2)).ledger.policies
    where !PolicyFile.isSigned(adopted.policy, by: key) {
      add("policy \(adopted.policy.policy.version) is not signed by the network's key")
    }
  }

  private mutating func add(_ finding: String) {
    if findings.count < 1000 { findings.append(finding) }
  }

  /// Checks the ledger of a data folder by a copy, so that the coordinator may go on serving.
  ///
  /// - Throws: `StoreError` when the database cannot be read.
  package static func run(
    _ folder: CoordinatorFolder, place: LedgerPlace = .sqlite
  ) async throws -> OfflineVerification {
    _ = try folder.logKey()
    let copy = folder.folder.path(of: ".verify-ledger.sqlite")
    let files = ["", "-wal", "-shm", "-journal"].map { copy + $0 }
    for file in files { PrivateFile.remove(file) }
    defer { for file in files { PrivateFile.remove(file) } }
    try place.copy(folder, to: copy)
    let backend = SQLiteBackend(path: copy)
    do {
      var result = try await OfflineVerification(backend)
      try await result.checkPolicies(of: backend, signedBy: folder.logKey().verifyingKey)
      await backend.close()
      return result
    } catch {
      await backend.close()
      throw error
    }
  }

  /// For people.
  package var text: String {
    var text =
      "entries      \(entries)\naccounts     \(accounts)\nsettlements  \(settlements)\n"
      + "receipts     \(receipts) proven, \(receiptsMissing) not kept\n"
    for (name, bucket) in Self.buckets { text += "\(name.padded(to: 13))\(totals[bucket])\n" }
    text +=
      findings.isEmpty
      ? "all balances and receipts hold"
      : "WRONG:\n" + findings.map { "  \($0)" }.joined(separator: "\n")
    return text
  }

  /// For programs.
  package var json: [UInt8] {
    JSONValue.members([
      "ok": .bool(findings.isEmpty), "entries": .integer(entries), "accounts": .integer(accounts),
      "settlements": .integer(settlements), "receipts_proven": .integer(receipts),
      "receipts_not_kept": .integer(receiptsMissing),
      "totals_micros": .object(
        Self.buckets.map { .init($0.name, .integer(totals[$0.bucket].rawValue)) }),
      "findings": .array(findings.map { .string($0) }),
    ]).encoded
  }

  private static let buckets: [(name: String, bucket: Bucket)] = [
    ("credit", .credit), ("earned", .earned), ("reserved", .reserved), ("held", .held),
    ("payout", .payout),
  ]
}

extension String {
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(1, width - count))
  }
}
