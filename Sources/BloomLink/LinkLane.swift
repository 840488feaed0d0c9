/// Which messages of a link may overtake others.
///
/// A stream's bytes, its receipts and its end keep their order; everything else passes them.
package enum LinkLane: Sendable {
  /// Whether an encoded message belongs to the lane that never waits behind data.
  package static func isControl(_ message: [UInt8]) -> Bool {
    // [type, …]: a short array, then the type in one or two bytes (RFC 8949 §3).
    guard message.count >= 3 else { return true }
    let type = message[1] == 0x18 ? UInt64(message[2]) : UInt64(message[1])
    switch type {
    case 8...11, 35: return false  // chunk, receipt, done, handback; request-chunk
    default: return true
    }
  }
}
