internal import BloomBase
internal import BloomWire

/// Sealed requests of this machine's own, which no link carries; pure.
///
/// They have stream numbers that a link never uses, and their answers are collected whole.
struct LocalJobs: Sendable {
  /// The first number; links count from 1 and end long before.
  static let firstStream: UInt64 = 1 << 62
  /// Sealed bytes of one answer; a self-test has a few KiB.
  static let limitBytes = 1 << 20

  private var answers: [StreamID: [UInt8]] = [:]
  private var next = LocalJobs.firstStream

  /// A number for a new request.
  mutating func begin() -> StreamID {
    defer { next += 1 }
    answers[StreamID(next)] = []
    return StreamID(next)
  }

  static func isLocal(_ stream: StreamID) -> Bool { stream.rawValue >= firstStream }

  /// Bytes of an answer came; whether there is still room.
  mutating func receive(_ bytes: [UInt8], of stream: StreamID) -> Bool {
    guard let count = answers[stream]?.count, count + bytes.count <= Self.limitBytes else {
      return false
    }
    answers[stream]?.append(contentsOf: bytes)
    return true
  }

  /// The request is over; gives its answer.
  mutating func end(_ stream: StreamID) -> [UInt8]? { answers.removeValue(forKey: stream) }
}
