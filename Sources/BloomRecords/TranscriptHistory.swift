package import BloomBase

/// The transcripts after the newest chunks of an answer, for receipts that lag behind its bytes.
package struct TranscriptHistory: Sendable {
  /// How many are remembered at least.
  private static let window = 4_096

  private var transcript: Transcript
  /// Transcripts after the chunks from `firstKept` on.
  private var digests: [Digest]
  private var firstKept = 0

  /// Starts before the first chunk.
  package init(responseNonce: Digest) {
    let start = Transcript(responseNonce: responseNonce)
    transcript = start
    digests = [start.digest]
  }

  /// The transcript after all chunks so far.
  package var current: Digest { transcript.digest }

  /// Adds a chunk that is not final.
  package mutating func append(_ sealed: Span<UInt8>) {
    transcript.append(sealed)
    digests.append(transcript.digest)
    guard digests.count == 2 * Self.window else { return }
    digests.removeFirst(Self.window)
    firstKept += Self.window
  }

  /// The transcript after so many chunks; `nil` when it is not remembered any more, or not yet.
  package func digest(after chunks: Int) -> Digest? {
    let index = chunks - firstKept
    return digests.indices.contains(index) ? digests[index] : nil
  }
}
