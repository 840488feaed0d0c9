package import BloomBase
internal import BloomCrypto
internal import BloomPlatform
package import BloomRecords
package import BloomWire

/// What one worker brings into a node's record.
package struct WorkerOffer: Sendable, Equatable {
  /// What the worker said when it was ready; its keys are replaced at each epoch.
  package var ready: WorkerReady

  /// Wraps what the worker said.
  package init(_ ready: WorkerReady) { self.ready = ready }

  /// When its oldest key was made: the record that names it ends by that.
  var madeAt: UnixTime? { ready.keys.map(\.madeAt).min() }
}

/// Makes node records of workers' keys, signed by the machine's identity.
package struct RecordMaker: Sendable {
  /// Seconds that a record must still be good for when it is made.
  package static let shortestSeconds: Int64 = 60

  private let identity: NodeIdentity
  private let release: Digest

  /// Creates a maker.
  ///
  /// - Parameters:
  ///   - identity: Signs.
  ///   - release: The digest of what runs; receipts must name the same.
  package init(identity: NodeIdentity, release: Digest) {
    self.identity = identity
    self.release = release
  }

  /// A record of what the workers offer at a time.
  ///
  /// - Parameters:
  ///   - offers: The workers that are ready.
  ///   - epoch: Never lower than in an earlier record of this machine.
  ///   - now: The wall clock.
  /// - Returns: `nil` when no worker has keys that are young enough: new ones must be asked for.
  /// - Throws: ``NodeError`` `worker` for keys that are none, `badIdentity` when signing fails.
  package func record(
    of offers: [WorkerOffer], epoch: UInt64, now: UnixTime
  ) throws(NodeError) -> NodeRecord? {
    let sorted = offers.sorted { $0.ready.model < $1.ready.model }
    guard let first = sorted.first, let oldest = sorted.compactMap(\.madeAt).min() else {
      return nil
    }
    let end = min(oldest.seconds, now.seconds) + KeyStatement.maximumLifetimeSeconds
    guard end - now.seconds >= Self.shortestSeconds else { return nil }
    var keys: [WorkerKeys] = []
    for offer in sorted { keys += try Self.keys(of: offer.ready) }
    let slots = max(1, sorted.reduce(0) { $0 + $1.ready.slots })
    let evidence = Evidence.none
    let statement = KeyStatement(
      identityKey: identity.signer.verifyingKey, workers: keys, notBefore: now,
      notAfter: UnixTime(end), release: release, evidence: evidence.digest,
      platform: identity.platform, bootEpoch: epoch,
      paddingProfiles: PaddingProfile.allCases,
      capacityBucket: UInt8(min(15, slots.bitWidth - 1 - slots.leadingZeroBitCount)),
      sandbox: sorted.dropFirst().reduce(Self.facts(first.ready.facts)) {
        $0.intersection(Self.facts($1.ready.facts))
      },
      engine: SHA256.digest(Array(first.ready.engineIdentity.utf8)))
    do throws(RecordError) {
      return try NodeRecord(
        signedStatement: statement.signed(by: identity.signer), evidence: evidence)
    } catch {
      throw NodeError(.badIdentity, "no record was made: \(error.publicDescription)")
    }
  }

  private static func keys(of ready: WorkerReady) throws(NodeError) -> [WorkerKeys] {
    var keys: [WorkerKeys] = []
    for key in ready.keys {
      // A suite of a later version is the worker's alone.
      guard let suite = HPKESuite(key.suite) else { continue }
      do throws(CryptoError) {
        keys.append(
          WorkerKeys(
            suite: suite, encryptionKey: try KEMPublicKey(suite.kem, key.encryptionKey),
            receiptKey: try VerifyingKey(.p256, key.receiptKey), model: ready.model))
      } catch {
        throw NodeError(.worker, "the worker gave a key that is none")
      }
    }
    return keys
  }

  /// The statement's bits for the names that a worker reported.
  static func facts(_ names: [String]) -> SandboxBits {
    let reported = SandboxFacts(names: names).facts
    var facts: SandboxBits = []
    let rules: [(SandboxBits, Set<SandboxFact>)] = [
      (.noNetwork, [.noNetwork]), (.noFiles, [.noFiles]), (.noProcesses, [.noProcesses]),
      (.noDebugger, [.notTraceable, .noCoreDumps]), (.secretMemory, [.secretKeys]),
    ]
    for (fact, needed) in rules where reported.isSuperset(of: needed) { facts.insert(fact) }
    return facts
  }
}
