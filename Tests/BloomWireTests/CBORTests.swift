import BloomBase
import BloomWire
import Testing

@Suite struct CBORTests {
  /// RFC 8949 appendix A, the entries that are in deterministic form and of kinds in use.
  static let vectors: [(CBORValue, String)] = [
    (.unsigned(0), "00"), (.unsigned(1), "01"), (.unsigned(10), "0a"), (.unsigned(23), "17"),
    (.unsigned(24), "1818"), (.unsigned(25), "1819"), (.unsigned(100), "1864"),
    (.unsigned(1000), "1903e8"), (.unsigned(1_000_000), "1a000f4240"),
    (.unsigned(1_000_000_000_000), "1b000000e8d4a51000"),
    (.unsigned(18_446_744_073_709_551_615), "1bffffffffffffffff"),
    (.negative(18_446_744_073_709_551_615), "3bffffffffffffffff"),
    (.negative(0), "20"), (.negative(9), "29"), (.negative(99), "3863"),
    (.negative(999), "3903e7"),
    (.float(0.0), "f90000"), (.float(-0.0), "f98000"), (.float(1.0), "f93c00"),
    (.float(1.1), "fb3ff199999999999a"), (.float(1.5), "f93e00"), (.float(65504.0), "f97bff"),
    (.float(100000.0), "fa47c35000"), (.float(3.402_823_466_385_288_6e+38), "fa7f7fffff"),
    (.float(1.0e+300), "fb7e37e43c8800759c"), (.float(5.960_464_477_539_063e-8), "f90001"),
    (.float(0.000_061_035_156_25), "f90400"), (.float(-4.0), "f9c400"),
    (.float(-4.1), "fbc010666666666666"), (.float(.infinity), "f97c00"),
    (.float(-.infinity), "f9fc00"),
    (.bool(false), "f4"), (.bool(true), "f5"), (.null, "f6"),
    (.tagged(0, .text("2013-03-21T20:04:00Z")), "c074323031332d30332d32315432303a30343a30305a"),
    (.tagged(2, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0])), "c249010000000000000000"),
    (.tagged(3, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0])), "c349010000000000000000"),
    (.tagged(1, .unsigned(1_363_896_240)), "c11a514b67b0"),
    (.tagged(1, .float(1_363_896_240.5)), "c1fb41d452d9ec200000"),
    (.tagged(23, .bytes([1, 2, 3, 4])), "d74401020304"),
    (.tagged(24, .bytes(Array("dIETF".utf8))), "d818456449455446"),
    (
      .tagged(32, .text("http://www.example.com")),
      "d82076687474703a2f2f7777772e6578616d706c652e636f6d"
    ),
    (
      .array((1...25).map { .unsigned($0) }),
      "98190102030405060708090a0b0c0d0e0f101112131415161718181819"
    ),
    (
      .array([.text("a"), .map([.init(.text("b"), .text("c"))])]), "826161a161626163"
    ),
    (
      .map(["a", "b", "c", "d", "e"].map { .init(.text($0), .text($0.uppercased())) }),
      "a56161614161626142616361436164614461656145"
    ),
    (.bytes([]), "40"), (.bytes([1, 2, 3, 4]), "4401020304"), (.text(""), "60"),
    (.text("a"), "6161"), (.text("IETF"), "6449455446"), (.text("\"\\"), "62225c"),
    (.text("\u{00fc}"), "62c3bc"), (.text("\u{6c34}"), "63e6b0b4"),
    (.text("\u{10151}"), "64f0908591"), (.array([]), "80"),
    (.array([.unsigned(1), .unsigned(2), .unsigned(3)]), "83010203"),
    (
      .array([
        .unsigned(1), .array([.unsigned(2), .unsigned(3)]), .array([.unsigned(4), .unsigned(5)]),
      ]), "8301820203820405"
    ),
    (.map([]), "a0"),
    (
      .map([.init(.unsigned(1), .unsigned(2)), .init(.unsigned(3), .unsigned(4))]),
      "a201020304"
    ),
    (
      .map([
        .init(.text("a"), .unsigned(1)), .init(.text("b"), .array([.unsigned(2), .unsigned(3)])),
      ]), "a26161016162820203"
    ),
  ]

  @Test(arguments: vectors)
  func `appendix A of RFC 8949 is encoded and decoded exactly`(
    value: CBORValue, hex: String
  ) throws {
    #expect(Hex.encode(value.encoded) == hex)
    #expect(try CBORValue(decoding: #require(Hex.decode(hex))) == value)
  }

  @Test(arguments: [
    ("1817", WireError.notCanonical), ("1900ff", .notCanonical), ("1a0000ffff", .notCanonical),
    ("1b00000000ffffffff", .notCanonical), ("5f42010243030405ff", .notCanonical),
    ("9fff", .notCanonical), ("bfff", .notCanonical), ("7f657374726561646d696e67ff", .notCanonical),
    ("fa3fc00000", .notCanonical), ("fb3ff8000000000000", .notCanonical),
    ("fa7fc00000", .notCanonical), ("f97e01", .notCanonical), ("fb7ff8000000000000", .notCanonical),
    ("a203040102", .keyOrder), ("a201020103", .keyOrder), ("a2616201616102", .keyOrder),
    ("f7", .unsupported), ("f0", .unsupported), ("f8ff", .unsupported), ("1c", .unsupported),
    ("ff", .unsupported), ("0000", .trailingBytes), ("", .truncated), ("19", .truncated),
    ("4401", .truncated), ("8301", .tooManyItems), ("61ff", .invalidText), ("62c080", .invalidText),
    ("63eda080", .invalidText), ("9a7fffffff", .tooManyItems),
    ("bb7fffffffffffffff", .tooManyItems),
    ("5b7fffffffffffffff", .truncated), ("818181818181818181818100", .tooDeep),
  ])
  func `what is not deterministic, sound or bounded is refused`(
    hex: String, error: WireError
  ) throws {
    let bytes = try #require(Hex.decode(hex))
    #expect(throws: error) { _ = try CBORValue(decoding: bytes) }
    #expect(throws: error) {
      var reader = try CBORReader(bytes)
      try reader.skip()
      try reader.finish()
    }
  }

  @Test func `limits of size and items hold`() throws {
    let limits = CBORLimits(byteCount: 8, depth: 2, itemCount: 4)
    #expect(throws: WireError.tooLarge) {
      _ = try CBORValue(decoding: [UInt8](repeating: 0, count: 9), limits: limits)
    }
    #expect(throws: WireError.tooManyItems) {
      _ = try CBORValue(decoding: [0x85, 0, 0, 0, 0, 0], limits: limits)
    }
    #expect(throws: WireError.tooManyItems) {
      _ = try CBORValue(decoding: [0x82, 0x82, 0, 0, 0x81, 0], limits: limits)
    }
  }

  @Test func `random trees come back, and every cut of them is refused`() throws {
    var generator = SeededGenerator(seed: 8949)
    for _ in 0..<300 {
      let value = tree(&generator, depth: 4)
      let bytes = value.encoded
      #expect(
        try CBORValue(
          decoding: bytes, limits: .init(byteCount: 1 << 20, depth: 8, itemCount: 1 << 16)
        ).encoded == bytes)
      for cut in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 16)) {
        #expect(throws: WireError.self) { _ = try CBORValue(decoding: Array(bytes[..<cut])) }
      }
    }
  }

  @Test func `random bytes never trap and decode only to themselves`() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
        UInt8.random(in: .min ... .max, using: &generator)
      }
      if let value = try? CBORValue(decoding: bytes) { #expect(value.encoded == bytes) }
    }
  }

  @Test func `integer keys ascend, extensions are skipped`() throws {
    // {1: 7, -1: [0], -2: "x"}
    var reader = try CBORReader([0xa3, 1, 7, 0x20, 0x81, 0, 0x21, 0x61, 0x78])
    var fields = try CBORFields(&reader, "test")
    #expect(try fields.next(&reader) == 1)
    #expect(try reader.unsigned("value") == 7)
    #expect(try fields.next(&reader) == nil)
    try reader.finish()
    for wrong: [UInt8] in [[0xa2, 2, 0, 1, 0], [0xa2, 1, 0, 1, 0], [0xa2, 0x20, 0, 1, 0]] {
      #expect(throws: WireError.keyOrder) {
        var reader = try CBORReader(wrong)
        var fields = try CBORFields(&reader, "test")
        while try fields.next(&reader) != nil { try reader.skip() }
      }
    }
  }

  private func tree(_ generator: inout SeededGenerator, depth: Int) -> CBORValue {
    switch Int.random(in: 0..<(depth > 0 ? 10 : 7), using: &generator) {
    case 0: .unsigned(generator.next() >> UInt64.random(in: 0..<64, using: &generator))
    case 1: .negative(generator.next() >> UInt64.random(in: 0..<64, using: &generator))
    case 2: .bytes((0..<Int(generator.next() % 40)).map { UInt8($0) })
    case 3: .text(String(repeating: "ü水", count: Int(generator.next() % 20)))
    case 4: .bool(generator.next() & 1 == 0)
    case 5: .null
    case 6:
      .float(
        Double(bitPattern: generator.next()).isNaN
          ? 1 : Double.random(in: -9...9, using: &generator))
    case 7: .tagged(generator.next() % 1000, tree(&generator, depth: depth - 1))
    case 8: .array((0..<Int(generator.next() % 5)).map { _ in tree(&generator, depth: depth - 1) })
    default:
      .map(
        Dictionary(
          (0..<Int(generator.next() % 5)).map { _ in
            (tree(&generator, depth: depth - 1).encoded, tree(&generator, depth: depth - 1))
          }, uniquingKeysWith: { $1 }
        ).compactMap { key, value in
          (try? CBORValue(decoding: key)).map { CBORValue.Pair($0, value) }
        })
    }
  }
}
