/// A SHA-256 digest, 32 bytes. Public data: equality is not constant-time.
public struct Digest: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The number of bytes of every digest.
  public static let byteCount = 32

  private let words: (UInt64, UInt64, UInt64, UInt64)

  /// Creates a digest from exactly 32 bytes; `nil` for any other count.
  public init?(_ bytes: some Collection<UInt8>) {
    self.init(Array(bytes)[...])
  }

  /// Creates a digest from exactly 32 bytes; `nil` for any other count.
  public init?(_ bytes: ArraySlice<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    unsafe self.init(writing: { (memory) in unsafe memory.copyBytes(from: bytes) })
  }

  /// Creates a digest from exactly 32 bytes; `nil` for any other count.
  ///
  /// Not generic, so that other modules get it compiled for bytes.
  public init?(_ bytes: Span<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    for index in 0..<8 {
      words.0 = words.0 << 8 | UInt64(bytes[index])
      words.1 = words.1 << 8 | UInt64(bytes[index + 8])
      words.2 = words.2 << 8 | UInt64(bytes[index + 16])
      words.3 = words.3 << 8 | UInt64(bytes[index + 24])
    }
    self.words = words
  }

  /// Creates a digest from exactly 32 bytes; `nil` for any other count.
  public init?(_ bytes: [UInt8]) { self.init(bytes.span) }

  /// Lets a closure write the 32 bytes, first byte first, without an array between.
  public init(writing body: (UnsafeMutableRawBufferPointer) -> Void) {
    var raw: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    unsafe withUnsafeMutableBytes(of: &raw) { (memory) in unsafe body(memory) }
    words = (raw.0.bigEndian, raw.1.bigEndian, raw.2.bigEndian, raw.3.bigEndian)
  }

  private init(_ words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  /// 32 zero bytes.
  public static let zero = Digest((0, 0, 0, 0))

  /// The 32 bytes, first byte first.
  public var bytes: [UInt8] {
    let raw = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
    return unsafe withUnsafeBytes(of: raw) { (memory) in unsafe [UInt8](memory) }
  }

  /// Lends the 32 bytes for the length of a call, without an array between.
  public func withBytes<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let raw = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
    return try unsafe withUnsafeBytes(of: raw) { (memory) throws(Failure) in
      try body(unsafe Span<UInt8>(_unsafeBytes: memory))
    }
  }

  /// 64 lower-case hexadecimal digits.
  public var hex: String { Hex.encode(bytes) }

  /// The first eight hexadecimal digits, for people.
  public var description: String { String(hex.prefix(8)) }

  /// Whether all bytes are equal. Not constant-time.
  public static func == (a: Digest, b: Digest) -> Bool { a.words == b.words }

  /// Orders digests as their bytes are ordered.
  public static func < (a: Digest, b: Digest) -> Bool { a.words < b.words }

  /// Feeds the first word; digests are uniformly distributed already.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
  }
}
