package import BloomBase

/// What an agent says to its worker: on the wire a deterministic CBOR array `[type, …]`.
package enum WorkerCommand: Sendable, Equatable {
  /// The first message: what to load.
  case load(WorkerOrder)
  /// A sealed request begins: so many bytes in all, and the answer bytes that may be sent at once.
  case begin(StreamID, byteCount: Int, credit: Int)
  /// The next bytes of a sealed request, in order, at most 64 KiB.
  case chunk(StreamID, [UInt8])
  /// The agent can take this many more answer bytes.
  case credit(StreamID, byteCount: Int)
  /// Stop this request.
  case cancel(StreamID, Reason)
  /// Make the keys of a new epoch now.
  case rotate
  /// A key statement for this key is out; evidence with this digest vouches for it.
  case vouched(KeyID, evidence: Digest)
  /// Take nothing new; give back what still runs after so many milliseconds.
  case drain(Reason, milliseconds: Int)

  /// The message's number.
  package var type: UInt64 {
    switch self {
    case .load: 1
    case .begin: 2
    case .chunk: 3
    case .credit: 4
    case .cancel: 5
    case .rotate: 6
    case .vouched: 7
    case .drain: 8
    }
  }

  /// The message's bytes.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: 64)
    switch self {
    case .load(let order):
      encoder.message(type, fields: 1)
      order.encode(into: &encoder)
    case .begin(let stream, let byteCount, let credit):
      encoder.message(type, fields: 3)
      encoder.unsigned(stream.rawValue)
      encoder.unsigned(UInt64(byteCount))
      encoder.unsigned(UInt64(credit))
    case .chunk(let stream, let bytes):
      encoder.message(type, fields: 2)
      encoder.unsigned(stream.rawValue)
      encoder.byteString(bytes)
    case .credit(let stream, let byteCount):
      encoder.message(type, fields: 2)
      encoder.unsigned(stream.rawValue)
      encoder.unsigned(UInt64(byteCount))
    case .cancel(let stream, let reason):
      encoder.message(type, fields: 2)
      encoder.unsigned(stream.rawValue)
      encoder.reason(reason)
    case .rotate:
      encoder.message(type, fields: 0)
    case .vouched(let kid, let evidence):
      encoder.message(type, fields: 2)
      encoder.byteString(kid.bytes)
      encoder.byteString(evidence.bytes)
    case .drain(let reason, let milliseconds):
      encoder.message(type, fields: 2)
      encoder.reason(reason)
      encoder.unsigned(UInt64(milliseconds))
    }
    return encoder.bytes
  }

  /// Reads one message that fills all bytes; throws `unknownMessage` for a type of a later version.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = try CBORReader(bytes, limits: .worker)
    let (type, fields) = try reader.message()
    switch type {
    case 1:
      try reader.fields(fields, 1)
      self = .load(try WorkerOrder(&reader))
    case 2:
      try reader.fields(fields, 3)
      self = .begin(
        try reader.stream(), byteCount: try reader.count("size", maximum: Limits.envelope),
        credit: try reader.count("credit", maximum: Limits.envelope))
    case 3:
      try reader.fields(fields, 2)
      self = .chunk(try reader.stream(), try reader.byteString("chunk", 1...Limits.chunk))
    case 4:
      try reader.fields(fields, 2)
      self = .credit(
        try reader.stream(), byteCount: try reader.count("credit", maximum: Limits.envelope))
    case 5:
      try reader.fields(fields, 2)
      self = .cancel(try reader.stream(), try reader.reason("reason"))
    case 6:
      try reader.fields(fields, 0)
      self = .rotate
    case 7:
      try reader.fields(fields, 2)
      self = .vouched(try reader.keyID("key"), evidence: try reader.digest("evidence"))
    case 8:
      try reader.fields(fields, 2)
      self = .drain(
        try reader.reason("reason"),
        milliseconds: try reader.count("time", maximum: Limits.milliseconds))
    default: throw .unknownMessage(type)
    }
    try reader.finish()
  }
}

extension CBORLimits {
  /// One message between agent and worker.
  static let worker = CBORLimits(byteCount: WorkerLinkLimits.message, depth: 8, itemCount: 4_096)
}

extension OwnerPolicy {
  func encode(into encoder: inout CBOREncoder) {
    encoder.array(5)
    encoder.array(refusedKinds.count)
    for kind in refusedKinds.map(\.rawValue).sorted() { encoder.unsigned(UInt64(kind)) }
    encoder.bool(refusesTools)
    encoder.bool(refusesMedia)
    encoder.array(refusedPhrases.count)
    for phrase in refusedPhrases { encoder.text(phrase) }
    encoder.array(refusedModels.count)
    for model in refusedModels { encoder.text(model) }
  }

  init(_ reader: inout CBORReader) throws(WireError) {
    try reader.array("policy", count: 5)
    let kinds = try reader.list("kinds", maximum: JobKind.allCases.count) {
      (reader) throws(WireError) in try reader.choice("kind") as JobKind
    }
    guard zip(kinds, kinds.dropFirst()).allSatisfy({ $0.rawValue < $1.rawValue }) else {
      throw .notCanonical
    }
    self.init(
      refusedKinds: Set(kinds), refusesTools: try reader.bool("tools"),
      refusesMedia: try reader.bool("media"),
      refusedPhrases: try reader.list("phrases", maximum: WorkerLinkLimits.refusedPhrases) {
        (reader) throws(WireError) in try reader.text("phrase", maximum: 256)
      },
      refusedModels: try reader.list("models", maximum: WorkerLinkLimits.refusedModels) {
        (reader) throws(WireError) in try reader.text("model", maximum: 128)
      })
  }
}

extension WorkerOrder {
  func encode(into encoder: inout CBOREncoder) {
    encoder.array(14)
    encoder.unsigned(WorkerLinkVersion.current)
    encoder.byteString(manifest)
    encoder.array(descriptors.count)
    for descriptor in descriptors { encoder.unsigned(UInt64(max(0, descriptor))) }
    encoder.byteString(node.digest.bytes)
    encoder.byteString(release.bytes)
    for number in [contextTokens, slots, threads, memoryBytes] {
      encoder.unsigned(UInt64(max(0, number)))
    }
    encoder.array(requiredFacts.count)
    for fact in requiredFacts { encoder.text(fact) }
    encoder.bool(startsGuard)
    encoder.bool(allowsDeviceControl)
    encoder.bool(verifiesFiles)
    policy.encode(into: &encoder)
  }

  init(_ reader: inout CBORReader) throws(WireError) {
    try reader.array("order", count: 14)
    let version = try reader.unsigned("version")
    guard version == WorkerLinkVersion.current else { throw .unknownVersion(version) }
    self.init(
      manifest: try reader.byteString("manifest", 1...WorkerLinkLimits.manifest),
      descriptors: try reader.list("files", maximum: WorkerLinkLimits.files) {
        (reader) throws(WireError) in Int32(try reader.unsigned("descriptor", maximum: 65_535))
      },
      node: try reader.nodeID("node"), release: try reader.digest("release"),
      contextTokens: try reader.count("context", maximum: 1 << 26),
      slots: try reader.count("slots", maximum: 1 << 10),
      threads: try reader.count("threads", maximum: 1 << 10),
      memoryBytes: try reader.count("memory", maximum: 1 << 50),
      requiredFacts: try reader.list("facts", maximum: 64) { (reader) throws(WireError) in
        try reader.text("fact", maximum: 64)
      },
      startsGuard: try reader.bool("guard"), allowsDeviceControl: try reader.bool("devices"),
      verifiesFiles: try reader.bool("verify"), policy: try OwnerPolicy(&reader))
  }
}
