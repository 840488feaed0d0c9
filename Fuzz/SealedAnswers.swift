import BloomRecords
import BloomWire

/// Chunks are found again whatever the pieces, and a reader never holds more than it was given.
func fuzz(_ input: [UInt8]) {
  require(read([input]) == read(pieces(input)), "the pieces change the chunks")
}

/// A final chunk begins with 1 here, another with 0.
func read(_ pieces: [[UInt8]]) -> [[UInt8]?] {
  var reader = ChunkReader()
  var chunks: [[UInt8]?] = []
  for piece in pieces {
    reader.append(piece[...])
    while true {
      do {
        guard let chunk = try reader.next() else { break }
        require(chunk.range.count <= ChunkFraming.maximumSealed, "a chunk is too large")
        chunks.append([chunk.isFinal ? 1 : 0] + reader.bytes[chunk.range])
      } catch {
        // Where an error is noticed may depend on the pieces, that it is noticed may not.
        return chunks + [nil]
      }
    }
  }
  return chunks
}
