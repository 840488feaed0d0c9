package import BloomBase
package import BloomCrypto
package import BloomHPKE
package import BloomRecords

/// A machine and the key of it that a request is sealed to.
package struct SealTarget: Sendable, Hashable {
  /// The machine's checked record.
  package let record: NodeRecord
  /// The keys of the worker with the model.
  package let keys: WorkerKeys
  /// The machine.
  package let node: NodeID

  /// The target for a model.
  ///
  /// - Throws: `notValidNow` outside the offer, `policy` when the machine lacks the model.
  package init(_ verified: VerifiedNode, model: ModelID, at now: UnixTime) throws(SealError) {
    let record = verified.record
    let statement = record.statement
    #if !MUTANT_EXPIRY
    guard statement.isOffered(at: now) else { throw .record(.notValidNow) }
    #endif
    guard let keys = verified.keys(for: model) else { throw .record(.policy) }
    self.record = record
    self.keys = keys
    node = verified.nodeID
  }

  /// What the machine states.
  package var statement: KeyStatement { record.statement }
}

/// The key exchange with one machine, done ahead of time; it seals one request, by its type.
package struct ReadyContext: ~Copyable, Sendable {
  /// Whom it is for.
  package let target: SealTarget
  let answerSecret: SecretBytes
  let commitKey: SecretBytes
  private var sender: HPKESender

  /// Does the two multiplications with a fresh ephemeral key.
  package init(to target: SealTarget) throws(SealError) {
    let ephemeral = try checking { () throws(CryptoError) in
      try SoftwareKEMKey.generate(target.keys.suite.kem)
    }
    try self.init(to: target, ephemeral: ephemeral)
  }

  /// Does them with a given key, for test vectors and reproducible simulations.
  package init(to target: SealTarget, ephemeral: SoftwareKEMKey) throws(SealError) {
    let keys = target.keys
    let info = WrapInfo.bytes(node: target.node, key: keys.keyID)
    let sender: HPKESender
    do throws(CryptoError) {
      sender = try HPKESender(
        to: keys.encryptionKey, suite: keys.suite, info: info, ephemeral: ephemeral)
    } catch { throw .crypto(error) }
    let secrets: (SecretBytes, SecretBytes)
    do throws(CryptoError) {
      secrets = (
        try sender.export(Labels.response, count: 32), try sender.export(Labels.commit, count: 32)
      )
    } catch { throw .crypto(error) }
    answerSecret = secrets.0
    commitKey = secrets.1
    self.sender = sender
    self.target = target
  }

  /// Bytes of its candidate in an envelope.
  var candidateByteCount: Int {
    Candidate.byteCount(encapsulatedKey: sender.encapsulatedKey.count)
  }

  /// Wraps an envelope's key, and gives what is needed to open the answer.
  consuming func wrap(
    _ envelopeKey: SecretBytes, associatedData: [UInt8]
  ) throws(SealError) -> (Candidate, AnswerKeys) {
    var key = envelopeKey.exposed()
    defer { wipe(&key) }
    let encapsulated = sender.encapsulatedKey
    let wrapped: [UInt8]
    do throws(CryptoError) {
      wrapped = try sender.seal(key, associatedData: associatedData)
    } catch { throw .crypto(error) }
    let candidate = Candidate(
      node: target.node, key: target.keys.keyID, encapsulatedKey: encapsulated,
      wrappedKey: wrapped)
    let answer = AnswerKeys(
      target: target, encapsulatedKey: encapsulated, answerSecret: answerSecret,
      commitKey: commitKey)
    return (candidate, answer)
  }
}

/// The key exchanges with a whole drawn set of 1…4 machines; seals one request, by its type.
package struct ReadyContexts: ~Copyable, Sendable {
  /// How many machines.
  package let count: Int
  /// The suite that all of them share.
  package let suite: HPKESuite
  var first: ReadyContext
  var second: ReadyContext?
  var third: ReadyContext?
  var fourth: ReadyContext?

  /// Does the exchanges; costs two multiplications a machine, so do it ahead of the request.
  ///
  /// - Throws: `candidates` unless there are 1…4 different machines with one suite and model.
  package init(_ targets: [SealTarget]) throws(SealError) {
    var ephemerals: [SoftwareKEMKey] = []
    for target in targets {
      ephemerals.append(
        try checking { () throws(CryptoError) in
          try SoftwareKEMKey.generate(target.keys.suite.kem)
        })
    }
    try self.init(targets, ephemerals: ephemerals)
  }

  /// Does them with given keys, for test vectors and reproducible simulations.
  package init(_ targets: [SealTarget], ephemerals: [SoftwareKEMKey]) throws(SealError) {
    guard (1...EnvelopePrefix.maximumCandidates).contains(targets.count),
      targets.count == ephemerals.count, Set(targets.map(\.node)).count == targets.count,
      Set(targets.map(\.keys.suite)).count == 1, Set(targets.map(\.keys.model)).count == 1
    else { throw .candidates }
    let first = try ReadyContext(to: targets[0], ephemeral: ephemerals[0])
    let second = try Self.context(1, targets, ephemerals)
    let third = try Self.context(2, targets, ephemerals)
    let fourth = try Self.context(3, targets, ephemerals)
    count = targets.count
    suite = targets[0].keys.suite
    self.first = first
    self.second = second
    self.third = third
    self.fourth = fourth
  }

  private static func context(
    _ index: Int, _ targets: [SealTarget], _ ephemerals: [SoftwareKEMKey]
  ) throws(SealError) -> ReadyContext? {
    guard index < targets.count else { return nil }
    return try ReadyContext(to: targets[index], ephemeral: ephemerals[index])
  }

  /// The model that the machines have loaded.
  package var model: ModelID { first.target.keys.model }
}

/// What the client keeps of one wrap until its answer came.
struct AnswerKeys: Sendable {
  let target: SealTarget
  let encapsulatedKey: [UInt8]
  let answerSecret: SecretBytes
  let commitKey: SecretBytes
}
