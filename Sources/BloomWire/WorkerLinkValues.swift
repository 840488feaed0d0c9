package import BloomBase

/// The versions of the messages between an agent and its worker.
///
/// 1: first version, 2026-11. Both come from one release, so there is nothing to choose.
package enum WorkerLinkVersion: Sendable {
  /// The version this program speaks.
  package static let current: UInt64 = 1
}

/// Bounds of the worker's link.
package enum WorkerLinkLimits: Sendable {
  /// Bytes of one message without its length.
  package static let message = Limits.controlMessage + 131_072
  /// Bytes of a model manifest inside an order.
  package static let manifest = 131_072
  /// Files of one model.
  package static let files = 256
  /// Words or phrases that an owner refuses.
  package static let refusedPhrases = 1_024
  /// Models that an owner refuses.
  package static let refusedModels = 256
  /// Keys offered at once: one a suite.
  package static let keys = 8
}

/// What the owner of a machine does not serve; only the worker can see it, so it decides.
package struct OwnerPolicy: Sendable, Equatable {
  /// Kinds of work that are refused before anything is opened.
  package var refusedKinds: Set<JobKind>
  /// Whether requests with tools are refused.
  package var refusesTools: Bool
  /// Whether pictures and sound in messages are refused.
  package var refusesMedia: Bool
  /// Requests whose text holds one of these are refused; compared without case.
  package var refusedPhrases: [String]
  /// Names of models that must not be served, as their manifests say them; compared without case.
  package var refusedModels: [String]

  /// Refuses what is listed.
  package init(
    refusedKinds: Set<JobKind> = [], refusesTools: Bool = false, refusesMedia: Bool = false,
    refusedPhrases: [String] = [], refusedModels: [String] = []
  ) {
    self.refusedKinds = refusedKinds
    self.refusedModels = refusedModels
    self.refusesTools = refusesTools
    self.refusesMedia = refusesMedia
    self.refusedPhrases = refusedPhrases
  }

  /// Refuses nothing.
  package static let open = OwnerPolicy()
}

/// What a worker is to load, and how: the first message, before lock-down.
package struct WorkerOrder: Sendable, Equatable {
  /// The canonical bytes of the model's manifest; their digest is the model's identity.
  package var manifest: [UInt8]
  /// An inherited descriptor for each file of the manifest, in its order.
  package var descriptors: [Int32]
  /// The machine that receipts and envelopes name.
  package var node: NodeID
  /// The release that receipts name.
  package var release: Digest
  /// Tokens of context to hold for each slot; 0 for the model's own.
  package var contextTokens: Int
  /// Requests to run at once; 0 for the engine's choice.
  package var slots: Int
  /// Threads to compute with; 0 for all processors that it may use.
  package var threads: Int
  /// Bytes of memory that weights and caches may take; 0 for no limit but the machine's.
  package var memoryBytes: Int
  /// Names of protections without which the worker must not make keys.
  package var requiredFacts: [String]
  /// Whether a guard process takes the tracer's place.
  package var startsGuard: Bool
  /// Whether graphics drivers must stay reachable.
  package var allowsDeviceControl: Bool
  /// Whether the files are hashed again before they are loaded.
  package var verifiesFiles: Bool
  /// What the owner does not serve.
  package var policy: OwnerPolicy

  /// An order with the engine's own choices.
  package init(
    manifest: [UInt8], descriptors: [Int32], node: NodeID, release: Digest,
    contextTokens: Int = 0, slots: Int = 0, threads: Int = 0, memoryBytes: Int = 0,
    requiredFacts: [String] = [], startsGuard: Bool = true, allowsDeviceControl: Bool = false,
    verifiesFiles: Bool = true, policy: OwnerPolicy = .open
  ) {
    self.manifest = manifest
    self.descriptors = descriptors
    self.node = node
    self.release = release
    self.contextTokens = contextTokens
    self.slots = slots
    self.threads = threads
    self.memoryBytes = memoryBytes
    self.requiredFacts = requiredFacts
    self.startsGuard = startsGuard
    self.allowsDeviceControl = allowsDeviceControl
    self.verifiesFiles = verifiesFiles
    self.policy = policy
  }
}

/// A key pair that the worker made; the private halves never leave it.
package struct WorkerKey: Sendable, Equatable {
  /// KEM, KDF and AEAD of RFC 9180, two bytes each.
  package var suite: [UInt8]
  /// Names the encryption key within the node.
  package var kid: KeyID
  /// The serialized encryption key.
  package var encryptionKey: [UInt8]
  /// The serialized receipt key; one an epoch, the same for all suites.
  package var receiptKey: [UInt8]
  /// When it was made.
  package var madeAt: UnixTime

  /// Sets every field.
  package init(
    suite: [UInt8], kid: KeyID, encryptionKey: [UInt8], receiptKey: [UInt8], madeAt: UnixTime
  ) {
    self.suite = suite
    self.kid = kid
    self.encryptionKey = encryptionKey
    self.receiptKey = receiptKey
    self.madeAt = madeAt
  }
}

/// What a worker says once it can serve.
package struct WorkerReady: Sendable, Equatable {
  /// The model's identity, from the manifest that was loaded.
  package var model: ModelID
  /// The keys of the first epoch.
  package var keys: [WorkerKey]
  /// What decides the bytes of a greedy answer, as text; its SHA-256 goes into records.
  package var engineIdentity: String
  /// Names of the protections in force.
  package var facts: [String]
  /// SHA-256 of the filter of system calls.
  package var filter: Digest
  /// Tokens that one choice may hold.
  package var contextTokens: Int
  /// Requests that run at once.
  package var slots: Int
  /// Bytes of weights and caches.
  package var memoryBytes: Int

  /// Sets every field.
  package init(
    model: ModelID, keys: [WorkerKey], engineIdentity: String, facts: [String], filter: Digest,
    contextTokens: Int, slots: Int, memoryBytes: Int
  ) {
    self.model = model
    self.keys = keys
    self.engineIdentity = engineIdentity
    self.facts = facts
    self.filter = filter
    self.contextTokens = contextTokens
    self.slots = slots
    self.memoryBytes = memoryBytes
  }
}
