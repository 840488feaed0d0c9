package import BloomBase

// The stored forms of the ledger's values. A new field makes a new version byte.

extension Price {
  func pack(_ to: inout PackedWriter) {
    to.put(promptPerMillion)
    to.put(completionPerMillion)
  }

  init(_ from: inout PackedReader) throws(PackedError) {
    guard
      let price = Price(promptPerMillion: try from.int64(), completionPerMillion: try from.int64())
    else { throw PackedError() }
    self = price
  }
}

extension JobKind {
  init(_ from: inout PackedReader) throws(PackedError) {
    guard let raw = UInt8(exactly: try from.int64()), let kind = JobKind(rawValue: raw) else {
      throw PackedError()
    }
    self = kind
  }
}

extension SettlementLine {
  func pack(_ to: inout PackedWriter) {
    to.put(part)
    to.put(node.digest)
    to.put(owner.rawValue)
    to.put(receipt)
    to.put(promptTokens)
    to.put(completionTokens)
    to.put(replayedTokens)
    to.put(duplicateTokens)
    price.pack(&to)
    to.put(gross)
    to.put(fee)
    to.put(poolShare)
    to.put(replayPaid)
    to.put(isHeld)
  }

  init(_ from: inout PackedReader) throws(PackedError) {
    self.init(
      part: try from.int(), node: NodeID(try from.digest()), owner: try from.account(),
      receipt: try from.digest(), promptTokens: try from.int(), completionTokens: try from.int(),
      replayedTokens: try from.int(), duplicateTokens: try from.int(), price: try Price(&from),
      gross: try from.micros(), fee: try from.micros(), poolShare: try from.micros(),
      replayPaid: try from.micros(), isHeld: try from.bool())
  }
}

extension Entry {
  /// The stored form, without number, time, kind and reference, which are columns.
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(answer) { to, id in to.put(id.bytes) }
    to.put(relatesTo) { to, number in to.put(number) }
    to.put(postings) { to, posting in
      to.put(posting.account.rawValue)
      to.put(Int(posting.bucket.rawValue))
      to.put(posting.amount)
    }
    to.put(settlement) { to, record in
      to.put(record.payer.rawValue)
      to.put(record.model.digest)
      to.put(Int(record.kind.rawValue))
      to.put(record.priceVersion)
      to.put(record.policyVersion)
      to.put(record.reserved)
      to.put(record.lines) { to, line in line.pack(&to) }
    }
    return to.bytes
  }

  /// Reads the stored form.
  package init(
    sequence: Int64, time: UnixTime, kind: UInt8, reference: String, packed: [UInt8]
  ) throws(PackedError) {
    guard let kind = EntryKind(rawValue: kind) else { throw PackedError() }
    var from = try PackedReader(packed, version: 1)
    let answer = try from.optional { (from) throws(PackedError) in
      guard let id = AnswerID(try from.array()) else { throw PackedError() }
      return id
    }
    let relatesTo = try from.optional { (from) throws(PackedError) in try from.int64() }
    let postings = try from.list { (from) throws(PackedError) in
      let account = try from.account()
      guard let raw = UInt8(exactly: try from.int64()), let bucket = Bucket(rawValue: raw) else {
        throw PackedError()
      }
      return Posting(account, bucket, try from.micros())
    }
    let settlement = try from.optional { (from) throws(PackedError) in
      SettlementRecord(
        payer: try from.account(), model: ModelID(try from.digest()), kind: try JobKind(&from),
        priceVersion: try from.int(), policyVersion: try from.int(),
        reserved: try from.micros(),
        lines: try from.list { (from) throws(PackedError) in try SettlementLine(&from) })
    }
    self.init(
      sequence: sequence, time: time, kind: kind, answer: answer, reference: reference,
      relatesTo: relatesTo, postings: postings, settlement: settlement)
  }
}

extension Answer {
  /// The stored form.
  package var packed: [UInt8] {
    var to = PackedWriter(version: 2)
    to.put(id.bytes)
    to.put(payer.rawValue)
    to.put(model.digest)
    to.put(Int(kind.rawValue))
    to.put(maxPromptTokens)
    to.put(maxCompletionTokens)
    ceiling.pack(&to)
    to.put(priceVersion)
    to.put(fromCredit)
    to.put(fromEarned)
    to.put(openedAt)
    to.put(deadline)
    to.put(parts) { to, part in
      to.put(part.isMismatched)
      to.put(part.served) { to, served in
        to.put(served.node.digest)
        to.put(served.owner.rawValue)
        to.put(served.receipt)
        to.put(served.basePromptTokens)
        to.put(served.replayedTokens)
        to.put(served.completionTokens)
        to.put(served.chargedTokens)
        to.put(served.duplicateTokens)
        to.put(served.chargesPrompt)
        to.put(served.isFinal)
        to.put(served.claimedTooMuch)
        to.put(served.proof)
      }
    }
    return to.bytes
  }

  /// Reads the stored form; version 1 kept no receipts.
  package init(packed: [UInt8]) throws(PackedError) {
    let hasProofs = packed.first != 1
    var from = try PackedReader(packed, version: hasProofs ? 2 : 1)
    guard let id = AnswerID(try from.array()) else { throw PackedError() }
    self.init(
      id: id, payer: try from.account(), model: ModelID(try from.digest()),
      kind: try JobKind(&from), maxPromptTokens: try from.int(),
      maxCompletionTokens: try from.int(), ceiling: try Price(&from),
      priceVersion: try from.int(), fromCredit: try from.micros(), fromEarned: try from.micros(),
      openedAt: try from.time(), deadline: try from.time(),
      parts: try from.list { (from) throws(PackedError) in
        var part = AnswerPart()
        part.isMismatched = try from.bool()
        part.served = try from.optional { (from) throws(PackedError) in
          AnswerPart.Served(
            node: NodeID(try from.digest()), owner: try from.account(),
            receipt: try from.digest(), basePromptTokens: try from.int(),
            replayedTokens: try from.int(), completionTokens: try from.int(),
            chargedTokens: try from.int(), duplicateTokens: try from.int(),
            chargesPrompt: try from.bool(), isFinal: try from.bool(),
            claimedTooMuch: try from.bool(), proof: hasProofs ? try from.array() : [])
        }
        return part
      })
  }
}

extension Dispute {
  /// The stored form.
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(sequence)
    to.put(payer.rawValue)
    line.pack(&to)
    to.put(held)
    to.put(openedAt)
    return to.bytes
  }

  /// Reads the stored form.
  package init(packed: [UInt8]) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(
      sequence: try from.int64(), payer: try from.account(), line: try SettlementLine(&from),
      held: try from.micros(), openedAt: try from.time())
  }
}

extension Payout {
  /// The stored form.
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(id)
    to.put(account.rawValue)
    to.put(amount)
    to.put(destination)
    to.put(requestedAt)
    switch state {
    case .requested: to.put(0)
    case .confirmed(let reference):
      to.put(1)
      to.put(reference)
    case .rejected(let reason):
      to.put(2)
      to.put(reason)
    }
    return to.bytes
  }

  /// Reads the stored form.
  package init(packed: [UInt8]) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(
      id: try from.int64(), account: try from.account(), amount: try from.micros(),
      destination: try from.text(), requestedAt: try from.time())
    switch try from.int() {
    case 0: state = .requested
    case 1: state = .confirmed(try from.text())
    case 2: state = .rejected(try from.text())
    default: throw PackedError()
    }
  }
}

extension AdoptedPolicy {
  /// The stored form.
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(policy.policy.signedBytes)
    to.put(policy.signature)
    to.put(policy.signer)
    to.put(time)
    return to.bytes
  }

  /// Reads the stored form.
  package init(packed: [UInt8]) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    guard let policy = LedgerPolicy(signedBytes: try from.array()) else { throw PackedError() }
    let signed = SignedPolicy(policy, signature: try from.array(), signer: try from.text())
    self.init(signed, try from.time())
  }
}

extension PriceVersion {
  /// The stored form.
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(version)
    to.put(time)
    switch change {
    case .list(let key, let price):
      to.put(0)
      to.put(key.model.digest)
      to.put(Int(key.kind.rawValue))
      price.pack(&to)
    case .fallback(let price):
      to.put(1)
      price.pack(&to)
    case .node(let node, let key, let price):
      to.put(2)
      to.put(node.digest)
      to.put(key.model.digest)
      to.put(Int(key.kind.rawValue))
      to.put(price) { to, price in price.pack(&to) }
    }
    return to.bytes
  }

  /// Reads the stored form.
  package init(packed: [UInt8]) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    let version = try from.int()
    let time = try from.time()
    let change: PriceChange
    switch try from.int() {
    case 0:
      change = .list(
        PriceKey(ModelID(try from.digest()), try JobKind(&from)), try Price(&from))
    case 1: change = .fallback(try Price(&from))
    case 2:
      change = .node(
        NodeID(try from.digest()), PriceKey(ModelID(try from.digest()), try JobKind(&from)),
        try from.optional { (from) throws(PackedError) in try Price(&from) })
    default: throw PackedError()
    }
    self.init(version: version, time: time, change: change)
  }
}
