/// The sizes that a request's plaintext may have, so that lengths tell little.
///
/// Powers of two from 2,048 up to 256 KiB; beyond, Padmé (PURBs, Nikitin et al., 2019): at most
/// 12 % more, and O(log log n) bits of the length show.
package enum PaddedSize: Sendable {
  /// The smallest size.
  package static let minimum = 2_048
  /// The largest, so that a whole envelope stays under 64 MiB.
  package static let maximum = 60 << 20
  /// Up to here sizes are powers of two.
  package static let lastPowerOfTwo = 262_144

  /// The size for a number of bytes; `nil` when it is over the maximum.
  package static func holding(_ byteCount: Int) -> Int? {
    guard byteCount >= 0, byteCount <= maximum else { return nil }
    let size = byteCount <= lastPowerOfTwo ? powerOfTwo(byteCount) : padme(byteCount)
    return size <= maximum ? size : nil
  }

  /// Whether a size is one of them.
  package static func isValid(_ size: Int) -> Bool { holding(size) == size }

  private static func powerOfTwo(_ byteCount: Int) -> Int {
    var size = minimum
    while size < byteCount { size *= 2 }
    return size
  }

  private static func padme(_ byteCount: Int) -> Int {
    let exponent = Int.bitWidth - 1 - byteCount.leadingZeroBitCount
    let significant = Int.bitWidth - exponent.leadingZeroBitCount
    let mask = (1 << (exponent - significant)) - 1
    return (byteCount + mask) & ~mask
  }
}
