package import BloomBase

/// Writes values one after another as stores keep them: integers as varints, texts with a length.
///
/// Our own stored form, never sent; each body begins with a version byte.
package struct PackedWriter: Sendable {
  /// What was written so far.
  package private(set) var bytes: [UInt8] = []

  /// Starts a body of a version.
  package init(version: UInt8) { bytes.append(version) }

  /// An integer: zigzag, seven bits a byte, lowest first.
  package mutating func put(_ value: Int64) {
    var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// An integer.
  package mutating func put(_ value: Int) { put(Int64(value)) }

  /// A truth value.
  package mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }

  /// Money.
  package mutating func put(_ value: Micros) { put(value.rawValue) }

  /// A time.
  package mutating func put(_ value: UnixTime) { put(value.seconds) }

  /// Bytes with their count.
  package mutating func put(_ value: [UInt8]) {
    put(value.count)
    bytes.append(contentsOf: value)
  }

  /// A text with its count.
  package mutating func put(_ value: String) {
    put(value.utf8.count)
    bytes.append(contentsOf: value.utf8)
  }

  /// A digest: 32 bytes.
  package mutating func put(_ value: Digest) {
    value.withBytes { digest in for index in digest.indices { bytes.append(digest[index]) } }
  }

  /// A value that may be missing.
  package mutating func put<Value>(_ value: Value?, _ body: (inout PackedWriter, Value) -> Void) {
    put(value != nil)
    if let value { body(&self, value) }
  }

  /// A list with its count.
  package mutating func put<Value>(_ values: [Value], _ body: (inout PackedWriter, Value) -> Void) {
    put(values.count)
    for value in values { body(&self, value) }
  }
}

/// A stored body that cannot be read: the file is damaged or was written by a newer version.
package struct PackedError: PublicError, Equatable {
  /// Creates the error.
  package init() {}

  /// What to do.
  package var publicDescription: String {
    "a stored value cannot be read; verify the ledger and restore a backup"
  }
}

/// Reads what ``PackedWriter`` wrote; throws on anything else.
package struct PackedReader {
  private let bytes: [UInt8]
  private var offset = 1

  /// Opens a body; throws unless it has this version.
  package init(_ bytes: [UInt8], version: UInt8) throws(PackedError) {
    guard bytes.first == version else { throw PackedError() }
    self.bytes = bytes
  }

  /// Whether everything was read.
  package var isAtEnd: Bool { offset == bytes.count }

  /// An integer.
  package mutating func int64() throws(PackedError) -> Int64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard offset < bytes.count else { throw PackedError() }
      let byte = bytes[offset]
      offset += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
    }
    throw PackedError()
  }

  /// An integer.
  package mutating func int() throws(PackedError) -> Int { Int(try int64()) }

  /// A truth value.
  package mutating func bool() throws(PackedError) -> Bool { bytes[try range(1).lowerBound] != 0 }

  /// Money.
  package mutating func micros() throws(PackedError) -> Micros { Micros(try int64()) }

  /// A time.
  package mutating func time() throws(PackedError) -> UnixTime { UnixTime(try int64()) }

  /// Bytes with their count.
  package mutating func array() throws(PackedError) -> [UInt8] { try raw(try int()) }

  /// A text with its count.
  package mutating func text() throws(PackedError) -> String {
    String(decoding: bytes[try range(try int())], as: UTF8.self)
  }

  /// A digest.
  package mutating func digest() throws(PackedError) -> Digest {
    let range = try range(Digest.byteCount)
    guard let digest = Digest(bytes.span.extracting(range)) else { throw PackedError() }
    return digest
  }

  /// An account.
  package mutating func account() throws(PackedError) -> AccountID {
    guard let account = AccountID(try text()) else { throw PackedError() }
    return account
  }

  /// An answer's identity.
  package mutating func answer() throws(PackedError) -> AnswerID {
    guard let answer = AnswerID(try raw(AnswerID.byteCount)) else { throw PackedError() }
    return answer
  }

  /// A value that may be missing.
  package mutating func optional<Value>(
    _ body: (inout PackedReader) throws(PackedError) -> Value
  ) throws(PackedError) -> Value? {
    try bool() ? try body(&self) : nil
  }

  /// A list with its count.
  package mutating func list<Value>(
    _ body: (inout PackedReader) throws(PackedError) -> Value
  ) throws(PackedError) -> [Value] {
    let count = try int()
    // Each element takes a byte at least, so a damaged count cannot make us allocate.
    guard (0...(bytes.count - offset)).contains(count) else { throw PackedError() }
    var values: [Value] = []
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(try body(&self)) }
    return values
  }

  private mutating func raw(_ count: Int) throws(PackedError) -> [UInt8] {
    Array(bytes[try range(count)])
  }

  /// Where the next bytes are; they count as read.
  private mutating func range(_ count: Int) throws(PackedError) -> Range<Int> {
    guard count >= 0, count <= bytes.count - offset else { throw PackedError() }
    defer { offset += count }
    return offset..<(offset + count)
  }
}
