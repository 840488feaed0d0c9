public import BloomBase
internal import BloomCrypto
internal import BloomWire

/// What a model is: its files by digest and what they need.
///
/// Its own digest is the ``ModelID``.
///
/// Encoded as deterministic CBOR, so equal manifests have equal bytes on every machine.
public struct ModelManifest: Equatable, Sendable {
  /// What a file is for; a loader takes the roles it knows.
  public enum Role: UInt8, Sendable, CaseIterable {
    /// The weights, first or only piece.
    case weights = 0
    /// A further piece of split weights, in order.
    case weightsPart = 1
    /// The encoder that turns images or sound into input of the model.
    case projector = 2
    /// A small model that drafts tokens.
    case draft = 3
  }

  /// What a model takes in beside text.
  public struct Inputs: OptionSet, Sendable {
    /// The bits on the wire.
    public let rawValue: UInt8
    /// Wraps bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Pictures.
    public static let image = Inputs(rawValue: 1)
    /// Sound.
    public static let audio = Inputs(rawValue: 2)
  }

  /// What a model is asked for.
  public enum Kind: UInt8, Sendable, CaseIterable {
    /// Messages to a message.
    case chat = 0
    /// Text to more text.
    case completion = 1
    /// Texts to vectors.
    case embeddings = 2
    /// Sound to text.
    case transcription = 3
  }

  /// One file.
  public struct File: Equatable, Sendable {
    /// What it is for.
    public var role: Role
    /// The name to show, without folders; 1…255 bytes.
    public var name: String
    /// SHA-256 of its bytes.
    public var sha256: Digest
    /// Bytes.
    public var byteCount: UInt64

    /// Describes a file.
    public init(role: Role, name: String, sha256: Digest, byteCount: UInt64) {
      self.role = role
      self.name = name
      self.sha256 = sha256
      self.byteCount = byteCount
    }
  }

  /// The name clients ask for, for example `smollm2-135m-instruct:q8_0`; 1…128 bytes.
  public var name: String
  /// What the model is asked for.
  public var kind: Kind
  /// The files; the weights first.
  public var files: [File]
  /// The licence's SPDX identifier or name; empty when the file does not say.
  public var licence: String
  /// Tokens the model was trained to hold; 0 when unknown.
  public var contextTokens: Int
  /// Bytes of memory for weights.
  public var weightBytes: UInt64
  /// Bytes of memory for each token of context, over all layers.
  public var contextBytesPerToken: UInt64
  /// What it takes in beside text.
  public var inputs: Inputs

  /// Describes a model.
  public init(
    name: String, kind: Kind, files: [File], licence: String, contextTokens: Int,
    weightBytes: UInt64, contextBytesPerToken: UInt64, inputs: Inputs = []
  ) {
    self.name = name
    self.kind = kind
    self.files = files
    self.licence = licence
    self.contextTokens = contextTokens
    self.weightBytes = weightBytes
    self.contextBytesPerToken = contextBytesPerToken
    self.inputs = inputs
  }

  /// Memory for weights and one context of this many tokens, in bytes; saturates.
  public func memoryBytes(contextTokens: Int) -> UInt64 {
    let (cache, over) = contextBytesPerToken.multipliedReportingOverflow(
      by: UInt64(max(0, contextTokens)))
    let (sum, overSum) = weightBytes.addingReportingOverflow(cache)
    return over || overSum ? .max : sum
  }
}

extension ModelManifest {
  /// Bounds of a manifest.
  public enum Limits: Sendable {
    /// Files of one model.
    public static let files = 256
    /// Bytes of the encoded manifest.
    public static let byteCount = 131_072
    /// Bytes of one file, 16 TiB: far above any model, and sums of sizes cannot overflow.
    public static let fileBytes: UInt64 = 1 << 44
    /// Tokens of context: beyond it a number is a mistake.
    public static let contextTokens = 1 << 26
  }

  /// The canonical bytes.
  public var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: 256)
    encoder.map(9)
    encoder.unsigned(1)
    encoder.unsigned(1)
    encoder.unsigned(2)
    encoder.text(name)
    encoder.unsigned(3)
    encoder.unsigned(UInt64(kind.rawValue))
    encoder.unsigned(4)
    encoder.array(files.count)
    for file in files {
      encoder.array(4)
      encoder.unsigned(UInt64(file.role.rawValue))
      encoder.text(file.name)
      encoder.byteString(file.sha256.bytes)
      encoder.unsigned(file.byteCount)
    }
    encoder.unsigned(5)
    encoder.text(licence)
    encoder.unsigned(6)
    encoder.unsigned(UInt64(contextTokens))
    encoder.unsigned(7)
    encoder.unsigned(weightBytes)
    encoder.unsigned(8)
    encoder.unsigned(contextBytesPerToken)
    encoder.unsigned(9)
    encoder.unsigned(UInt64(inputs.rawValue))
    return encoder.bytes
  }

  /// SHA-256 of ``encoded``: what receipts carry.
  public var id: ModelID { ModelID(SHA256.digest(encoded)) }

  /// Reads canonical bytes; anything else is refused, so that one model has one identity.
  ///
  /// - Parameter bytes: At most ``Limits/byteCount``.
  /// - Throws: ``ModelsError`` `badManifest`.
  public init(decoding bytes: [UInt8]) throws(ModelsError) {
    do throws(WireError) {
      let limits = CBORLimits(byteCount: Limits.byteCount, depth: 4, itemCount: 4_096)
      var reader = try CBORReader(bytes, limits: limits)
      try self.init(&reader)
      try reader.finish()
    } catch {
      throw ModelsError(.badManifest, error.publicDescription)
    }
  }

  private init(_ reader: inout CBORReader) throws(WireError) {
    func key(_ wanted: UInt64, _ reader: inout CBORReader) throws(WireError) {
      guard try reader.unsigned("field key") == wanted else { throw .unknownField(wanted) }
    }
    guard try reader.map("manifest") == 9 else { throw .outOfRange(field: "number of fields") }
    try key(1, &reader)
    let version = try reader.unsigned("version")
    guard version == 1 else { throw .unknownVersion(version) }
    try key(2, &reader)
    let name = try reader.text("name", maximum: 128)
    try key(3, &reader)
    let kind: Kind = try Self.choice(&reader, "kind")
    try key(4, &reader)
    var files: [File] = []
    for _ in 0..<(try reader.array("files", maximum: Limits.files)) {
      try reader.array("file", count: 4)
      files.append(
        File(
          role: try Self.choice(&reader, "role"), name: try reader.text("file name", maximum: 255),
          sha256: try Self.digest(&reader),
          byteCount: try reader.unsigned("file size", maximum: Limits.fileBytes)))
    }
    try key(5, &reader)
    let licence = try reader.text("licence", maximum: 256)
    try key(6, &reader)
    let contextTokens = try reader.count("context", maximum: Limits.contextTokens)
    try key(7, &reader)
    let weightBytes = try reader.unsigned("weight bytes")
    try key(8, &reader)
    let contextBytesPerToken = try reader.unsigned("context bytes")
    try key(9, &reader)
    let inputs = Inputs(rawValue: UInt8(try reader.unsigned("inputs", maximum: 3)))
    self.init(
      name: name, kind: kind, files: files, licence: licence, contextTokens: contextTokens,
      weightBytes: weightBytes, contextBytesPerToken: contextBytesPerToken, inputs: inputs)
    guard !name.isEmpty else { throw .outOfRange(field: "name") }
    guard files.first?.role == .weights, files.allSatisfy({ Self.isPlainName($0.name) }) else {
      throw .outOfRange(field: "files")
    }
  }

  /// Whether a name can stand alone in a folder: no separators, no control characters, not hidden.
  package static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.first != 0x2e
      && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x2f && $0 != 0x5c && $0 != 0x7f }
  }

  private static func choice<Choice: RawRepresentable<UInt8>>(
    _ reader: inout CBORReader, _ field: String
  ) throws(WireError) -> Choice {
    guard let choice = Choice(rawValue: UInt8(try reader.unsigned(field, maximum: 255))) else {
      throw .outOfRange(field: field)
    }
    return choice
  }

  private static func digest(_ reader: inout CBORReader) throws(WireError) -> Digest {
    let bytes = try reader.byteString("file digest", count: Digest.byteCount)
    return try Digest(bytes).required("file digest")
  }
}
