/// Appends deterministic CBOR to a byte array: shortest heads, definite lengths (RFC 8949 §4.2.1).
///
/// The caller announces counts and writes map keys in ascending order of their encodings;
/// ``CBORReader`` refuses what breaks that, so every message type has a round-trip test.
package struct CBOREncoder: Sendable {
  /// What was written so far.
  package private(set) var bytes: [UInt8]

  /// Starts an empty item.
  ///
  /// - Parameter capacity: Bytes to reserve.
  package init(capacity: Int = 64) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  /// Writes 0…2^64−1.
  package mutating func unsigned(_ value: UInt64) { head(0, value) }

  /// Writes an integer of either sign.
  package mutating func integer(_ value: Int64) {
    if value >= 0 { head(0, UInt64(value)) } else { head(1, UInt64(bitPattern: -1 - value)) }
  }

  /// Writes −1 − `value`.
  package mutating func negative(_ value: UInt64) { head(1, value) }

  /// Writes a byte string.
  package mutating func byteString(_ value: some Collection<UInt8>) {
    head(2, UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  /// Writes a byte string; the concrete form of the hot paths.
  package mutating func byteString(_ value: [UInt8]) {
    head(2, UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  /// Writes a text string.
  package mutating func text(_ value: String) {
    var value = value
    value.makeContiguousUTF8()
    head(3, UInt64(value.utf8.count))
    bytes.append(contentsOf: value.utf8)
  }

  /// Starts an array; exactly `count` items must follow.
  package mutating func array(_ count: Int) { head(4, UInt64(count)) }

  /// Starts a map; exactly `count` pairs of key and value must follow.
  package mutating func map(_ count: Int) { head(5, UInt64(count)) }

  /// Starts a tagged item; one item must follow.
  package mutating func tag(_ number: UInt64) { head(6, number) }

  /// Writes true or false.
  package mutating func bool(_ value: Bool) { bytes.append(value ? 0xf5 : 0xf4) }

  /// Writes null.
  package mutating func null() { bytes.append(0xf6) }

  /// Writes the shortest of half, single and double precision that keeps the value.
  package mutating func float(_ value: Double) {
    if let half = HalfFloat.exactly(value) {
      bytes.append(0xf9)
      bigEndian(UInt64(half), 2)
    } else if Double(Float(value)) == value {
      bytes.append(0xfa)
      bigEndian(UInt64(Float(value).bitPattern), 4)
    } else {
      bytes.append(0xfb)
      bigEndian(value.bitPattern, 8)
    }
  }

  /// Writes an item that is encoded already.
  package mutating func encoded(_ item: some Collection<UInt8>) { bytes.append(contentsOf: item) }

  /// Forgets what was written and keeps the memory, for hot paths.
  package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  private mutating func head(_ major: UInt8, _ value: UInt64) {
    let type = major << 5
    if value < 24 {
      bytes.append(type | UInt8(value))
    } else if value <= 0xff {
      bytes.append(type | 24)
      bytes.append(UInt8(value))
    } else if value <= 0xffff {
      bytes.append(type | 25)
      bigEndian(value, 2)
    } else if value <= 0xffff_ffff {
      bytes.append(type | 26)
      bigEndian(value, 4)
    } else {
      bytes.append(type | 27)
      bigEndian(value, 8)
    }
  }

  private mutating func bigEndian(_ value: UInt64, _ count: Int) {
    var shift = 8 * count
    while shift > 0 {
      shift -= 8
      bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
    }
  }
}

/// IEEE 754 half precision by bits: `Float16` is missing on some Macs.
enum HalfFloat: Sendable {
  /// The bits of `value`, or `nil` when half precision cannot hold it exactly.
  static func exactly(_ value: Double) -> UInt16? {
    if value.isNaN { return 0x7e00 }
    let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
    if value.isInfinite { return sign | 0x7c00 }
    if value.isZero { return sign }
    let magnitude = value.magnitude
    let exponent = Int(magnitude.exponent)
    if exponent > 15 || exponent < -24 { return nil }
    if exponent < -14 {
      let scaled = magnitude * 0x1p24
      return scaled == scaled.rounded() ? sign | UInt16(scaled) : nil
    }
    let fraction = magnitude.significandBitPattern
    guard fraction & ((1 << 42) - 1) == 0 else { return nil }
    return sign | UInt16(exponent + 15) << 10 | UInt16(fraction >> 42)
  }

  /// The value of the bits (RFC 8949 appendix D).
  static func value(_ half: UInt16) -> Double {
    let exponent = Int(half >> 10) & 0x1f
    let fraction = Double(half & 0x3ff)
    let magnitude: Double =
      switch exponent {
      case 0: fraction * 0x1p-24
      case 31: fraction == 0 ? .infinity : .nan
      default: Double(sign: .plus, exponent: exponent - 25, significand: fraction + 1024)
      }
    return half & 0x8000 == 0 ? magnitude : -magnitude
  }
}
