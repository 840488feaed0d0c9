/// Bounds of the formats in this module, apart from those of the formats' own specifications.
package enum Limits: Sendable {
  /// Stop texts of one request.
  package static let stops = 16
  /// A model's manifest as a node sends it: some hundreds of files.
  package static let manifest = 65_536
  /// The largest duration in milliseconds that a message may name: one week.
  package static let milliseconds = 604_800_000
  /// The last second of the year 9999: beyond it a time is a mistake.
  package static let unixSeconds: UInt64 = 253_402_300_799
  /// Bytes of one control message, payload chunk included: 64 KiB of data and its head.
  package static let controlMessage = 65_536 + 1_024
  /// Data bytes of one chunk message.
  package static let chunk = 65_536
  /// Bytes of one node record: a key statement and its evidence.
  package static let record = 49_152
  /// Bytes of one receipt.
  package static let receipt = 1_024
  /// Bytes of an envelope's head with one candidate.
  package static let head = 4_096
  /// Bytes of a whole sealed request, 64 MiB.
  package static let envelope = 1 << 26
  /// Models of one node.
  package static let models = 256
  /// Token identifiers in one frame: one chunk of 16 KiB holds them.
  package static let frameTokens = 4_096
  /// Bytes of one frame: an embedding vector of 16,384 numbers fits.
  package static let frame = 131_072
  /// Choices of one answer.
  package static let choices = 128
  /// Delivered tokens that a continuation may carry, all choices together.
  package static let resumeTokens = 1 << 20
}
