import BloomModels

/// A model file's header is read or refused: no trap, no long loop, no large allocation; and what
/// was read stays within the file.
func fuzz(_ input: [UInt8]) {
  guard let header = try? GGUFReader.header(input, fileBytes: UInt64(input.count)) else { return }
  require(header.byteCount <= input.count, "the header is longer than the file")
  require(
    header.tensors.allSatisfy { $0.offset < UInt64(input.count) }, "a tensor lies outside")
  _ = header.contextBytesPerToken
  _ = header.isEmbeddingModel
  let cut = input.dropLast(input.count - header.byteCount + 1)
  require(
    (try? GGUFReader.header(Array(cut), fileBytes: UInt64(input.count))) == nil,
    "a header that is cut short is read")
}
