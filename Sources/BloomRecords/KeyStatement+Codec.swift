internal import BloomBase
internal import BloomCrypto
internal import BloomWire

extension KeyStatement {
  /// The payload; key 8 is retired, key 9 is left out for the evidence's own binding.
  func payload(includingEvidence: Bool) -> [UInt8] {
    var encoder = CBOREncoder(capacity: 512)
    encoder.map(includingEvidence ? 14 : 13)
    encoder.unsigned(1)
    encoder.unsigned(1)
    encoder.unsigned(2)
    encoder.byteString(nodeID.digest.bytes)
    encoder.unsigned(3)
    encoder.byteString(identityKey.subjectPublicKeyInfo)
    encoder.unsigned(4)
    encoder.array(workers.count)
    for worker in workers { worker.encode(into: &encoder) }
    encoder.unsigned(5)
    encoder.integer(notBefore.seconds)
    encoder.unsigned(6)
    encoder.integer(notAfter.seconds)
    encoder.unsigned(7)
    encoder.byteString(release.bytes)
    if includingEvidence {
      encoder.unsigned(9)
      encoder.byteString(evidence.bytes)
    }
    encoder.unsigned(10)
    encoder.unsigned(UInt64(platform.rawValue))
    encoder.unsigned(11)
    encoder.unsigned(bootEpoch)
    encoder.unsigned(12)
    encoder.array(paddingProfiles.count)
    for profile in paddingProfiles { encoder.unsigned(UInt64(profile.rawValue)) }
    encoder.unsigned(13)
    encoder.unsigned(UInt64(capacityBucket))
    encoder.unsigned(14)
    encoder.unsigned(sandbox.rawValue)
    encoder.unsigned(15)
    encoder.byteString(engine.bytes)
    return encoder.bytes
  }

  /// Reads a payload whose signature is checked by the caller.
  init(payload: [UInt8]) throws(RecordError) {
    var raw = Raw()
    try reading { () throws(WireError) in try raw.read(payload) }
    guard let key = raw.identityKey else { throw .wire(.missingField("identity key")) }
    let identityKey = try checking { () throws(CryptoError) in
      try VerifyingKey(subjectPublicKeyInfo: key)
    }
    guard identityKey.kind == .p256, raw.node == Self.nodeID(of: identityKey) else {
      throw .identity
    }
    var workers: [WorkerKeys] = []
    for worker in raw.workers { workers.append(try WorkerKeys(worker)) }
    guard !workers.isEmpty else { throw .wire(.missingField("keys")) }
    let fields = raw
    self = try reading { () throws(WireError) in
      KeyStatement(
        identityKey: identityKey, workers: workers,
        notBefore: try fields.notBefore.required("not before"),
        notAfter: try fields.notAfter.required("not after"),
        release: try fields.release.required("release"),
        evidence: try fields.evidence.required("evidence"),
        platform: try fields.platform.required("platform"),
        bootEpoch: try fields.bootEpoch.required("boot epoch"),
        paddingProfiles: try fields.profiles.required("padding profiles"),
        capacityBucket: try fields.capacityBucket.required("capacity bucket"),
        sandbox: try fields.sandbox.required("sandbox facts"),
        engine: try fields.engine.required("engine"))
    }
  }

  private struct Raw {
    var node: NodeID?
    var identityKey: [UInt8]?
    var workers: [WorkerKeys.Raw] = []
    var notBefore: UnixTime?
    var notAfter: UnixTime?
    var release: Digest?
    var evidence: Digest?
    var platform: Platform?
    var bootEpoch: UInt64?
    var profiles: [PaddingProfile]?
    var capacityBucket: UInt8?
    var sandbox: SandboxBits?
    var engine: Digest?

    mutating func read(_ payload: [UInt8]) throws(WireError) {
      var reader = try CBORReader(payload)
      var fields = try CBORFields(&reader, "key statement")
      while let key = try fields.next(&reader) {
        switch key {
        case 1:
          let version = try reader.unsigned("version")
          guard version == 1 else { throw .unknownVersion(version) }
        case 2: node = try reader.nodeID("node")
        case 3: identityKey = try reader.byteString("identity key", 1...256)
        case 4:
          workers = try reader.list("keys", maximum: 64) { (reader) throws(WireError) in
            try WorkerKeys.Raw(from: &reader)
          }
        case 5: notBefore = try reader.time("not before")
        case 6: notAfter = try reader.time("not after")
        case 7: release = try reader.digest("release")
        case 9: evidence = try reader.digest("evidence")
        case 10: platform = try reader.choice("platform") as Platform
        case 11: bootEpoch = try reader.unsigned("boot epoch")
        case 12:
          profiles = try reader.list("padding profiles", maximum: 8) {
            (reader) throws(WireError) in
            try reader.choice("padding profile") as PaddingProfile
          }
        case 13: capacityBucket = UInt8(try reader.unsigned("capacity bucket", maximum: 15))
        case 14: sandbox = SandboxBits(rawValue: try reader.unsigned("sandbox facts"))
        case 15: engine = try reader.digest("engine")
        default: throw .unknownField(key)
        }
      }
      try reader.finish()
    }
  }
}

extension WorkerKeys {
  fileprivate struct Raw {
    var suite: [UInt8] = []
    var keyID: KeyID?
    var encryptionKey: [UInt8] = []
    var receiptKey: [UInt8] = []
    var model: ModelID?

    init(from reader: inout CBORReader) throws(WireError) {
      var fields = try CBORFields(&reader, "worker keys")
      while let key = try fields.next(&reader) {
        switch key {
        case 1: suite = try reader.byteString("suite", count: HPKESuite.byteCount)
        case 2: keyID = try reader.keyID("key id")
        case 3: encryptionKey = try reader.byteString("encryption key", 32...2_048)
        case 4: receiptKey = try reader.byteString("receipt key", count: 65)
        case 5: model = try reader.modelID("model")
        default: throw .unknownField(key)
        }
      }
    }
  }

  fileprivate func encode(into encoder: inout CBOREncoder) {
    encoder.map(5)
    encoder.unsigned(1)
    encoder.byteString(suite.bytes)
    encoder.unsigned(2)
    encoder.byteString(keyID.bytes)
    encoder.unsigned(3)
    encoder.byteString(encryptionKey.bytes)
    encoder.unsigned(4)
    encoder.byteString(receiptKey.bytes)
    encoder.unsigned(5)
    encoder.byteString(model.digest.bytes)
  }

  fileprivate init(_ raw: Raw) throws(RecordError) {
    guard let suite = HPKESuite(raw.suite), suite.aead == .aes256GCM else {
      throw .invalid("the suite of a key")
    }
    guard let model = raw.model else { throw .wire(.missingField("model")) }
    let encryptionKey = try checking { () throws(CryptoError) in
      try KEMPublicKey(suite.kem, raw.encryptionKey)
    }
    let receiptKey = try checking { () throws(CryptoError) in
      try VerifyingKey(.p256, raw.receiptKey)
    }
    self.init(suite: suite, encryptionKey: encryptionKey, receiptKey: receiptKey, model: model)
    guard raw.keyID == keyID else { throw .identity }
  }
}
