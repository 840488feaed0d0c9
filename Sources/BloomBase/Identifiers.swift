/// A machine's identity: SHA-256("darkbloom/1 node" ‖ SPKI DER of its hardware identity key).
///
/// Never a connection: learned rates and standing survive sleep, restart and update.
public struct NodeID: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The 32 bytes that go over the wire.
  public let digest: Digest

  /// Wraps a digest.
  public init(_ digest: Digest) { self.digest = digest }

  /// Reads 32 bytes; `nil` for any other count.
  public init?(_ bytes: some Collection<UInt8>) {
    guard let digest = Digest(bytes) else { return nil }
    self.digest = digest
  }

  /// Reads 32 bytes; `nil` for any other count.
  public init?(_ bytes: ArraySlice<UInt8>) {
    guard let digest = Digest(bytes) else { return nil }
    self.digest = digest
  }

  /// The first eight hexadecimal digits, for people.
  public var description: String { "node-\(digest)" }

  /// Orders identities as their bytes are ordered.
  public static func < (a: NodeID, b: NodeID) -> Bool { a.digest < b.digest }
}

/// The digest of a model manifest: name, files with SHA-256, licence, context, kind, memory.
public struct ModelID: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The 32 bytes that receipts carry.
  public let digest: Digest

  /// Wraps a digest.
  public init(_ digest: Digest) { self.digest = digest }

  /// The first eight hexadecimal digits, for people.
  public var description: String { "model-\(digest)" }

  /// Orders identities as their bytes are ordered.
  public static func < (a: ModelID, b: ModelID) -> Bool { a.digest < b.digest }
}

/// The first 8 bytes of SHA-256(serialized node encryption key): names a key within a node.
public struct KeyID: Hashable, Sendable, CustomStringConvertible {
  /// The number of bytes on the wire.
  public static let byteCount = 8

  /// The 8 bytes, big-endian.
  public let rawValue: UInt64

  /// Wraps a number.
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// Reads 8 bytes; `nil` for any other count.
  public init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    rawValue = bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The 8 bytes, first byte first.
  public var bytes: [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: rawValue >> UInt64(56 - 8 * $0)) }
  }

  /// 16 hexadecimal digits.
  public var description: String { Hex.encode(bytes) }
}

/// One answer, whatever the number of parts it took: 16 random bytes drawn by the gateway.
public struct AnswerID: Hashable, Sendable, CustomStringConvertible {
  /// The number of bytes on the wire.
  public static let byteCount = 16

  private let high: UInt64
  private let low: UInt64

  /// Reads 16 bytes; `nil` for any other count.
  ///
  /// Not generic, so that other modules get it compiled for bytes.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    var words: (UInt64, UInt64) = (0, 0)
    for index in 0..<8 {
      words.0 = words.0 << 8 | UInt64(bytes[index])
      words.1 = words.1 << 8 | UInt64(bytes[index + 8])
    }
    (high, low) = words
  }

  /// Reads 16 bytes; `nil` for any other count.
  public init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Draws a new one.
  public init(using generator: inout some RandomNumberGenerator) {
    high = generator.next()
    low = generator.next()
  }

  /// The 16 bytes, first byte first.
  public var bytes: [UInt8] { KeyID(high).bytes + KeyID(low).bytes }

  /// 32 hexadecimal digits.
  public var description: String { Hex.encode(bytes) }
}

/// An account of the ledger: a user, an owner, or one of the platform's own.
public struct AccountID: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// 1…64 characters of `a-z 0-9 . _ : -`.
  public let rawValue: String

  /// Checks the text; `nil` when it is empty, too long or holds another character.
  public init?(_ rawValue: String) {
    let isAllowed = rawValue.utf8.allSatisfy { character in
      switch character {
      case 0x61...0x7a, 0x30...0x39, 0x2e, 0x5f, 0x3a, 0x2d: true
      default: false
      }
    }
    guard isAllowed, (1...64).contains(rawValue.utf8.count) else { return nil }
    self.rawValue = rawValue
  }

  /// The text itself.
  public var description: String { rawValue }

  /// Orders accounts by their text.
  public static func < (a: AccountID, b: AccountID) -> Bool { a.rawValue < b.rawValue }
}
