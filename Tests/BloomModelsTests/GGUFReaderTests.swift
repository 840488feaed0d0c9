import BloomBase
import BloomModels
import BloomTestTraits
import Testing

@Suite(.ownThread) struct GGUFReaderTests {
  private func read(_ bytes: [UInt8]) throws(ModelsError) -> GGUFHeader {
    try GGUFReader.header(bytes, fileBytes: UInt64(bytes.count))
  }

  @Test func `a header gives what a manifest needs`() throws {
    let header = try read(GGUFFile.sample())
    #expect(header.name == "Sample")
    #expect(header.licence == "apache-2.0")
    #expect(header.contextTokens == 2048)
    #expect(header.hasChatTemplate)
    #expect(!header.isEmbeddingModel)
    #expect(header.tensors.map(\.name) == ["token_embd.weight", "output.weight"])
    #expect(header.metadata["tokenizer.ggml.tokens"] == .skipped(count: 100))
    // 3 key-value heads × (64 + 64) numbers × 2 bytes × 30 layers.
    #expect(header.contextBytesPerToken == 23_040)
  }

  @Test func `every cut of a header is an error`() throws {
    let bytes = GGUFFile.sample(words: 5, tail: 0)
    for count in 0..<bytes.count {
      #expect(throws: ModelsError.self) { _ = try read(Array(bytes[..<count])) }
    }
  }

  @Test func `a changed header never traps and never takes long`() {
    // 20,000 changes of one to four bytes; the deep run makes a million.
    var generator = SeededGenerator(seed: 7)
    let bytes = GGUFFile.sample(words: 80)
    let interesting: [UInt8] = [0, 1, 0x7f, 0x80, 0xff, 0xfe, 9, 8, 12]
    var accepted = 0
    for _ in 0..<Deep.count(20_000, deep: 1_000_000) {
      var changed = bytes
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let index = Int.random(in: 0..<changed.count, using: &generator)
        changed[index] =
          Bool.random(using: &generator)
          ? interesting[Int.random(in: 0..<interesting.count, using: &generator)]
          : UInt8.random(in: 0...255, using: &generator)
      }
      // An accepted change must still be usable for all that a manifest derives.
      if let header = try? read(changed) {
        accepted += 1
        _ = header.contextBytesPerToken
        #expect(header.byteCount <= changed.count)
      }
    }
    // Changes of text and of the data are harmless: the reader must not simply refuse everything.
    #expect(accepted > 0)
  }

  @Test func `random bytes after the magic never trap`() {
    var generator = SeededGenerator(seed: 8)
    for _ in 0..<5_000 {
      let count = Int.random(in: 0..<200, using: &generator)
      let bytes =
        Array("GGUF\u{3}\0\0\0".utf8)
        + (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      _ = try? read(bytes)
    }
  }

  @Test(arguments: [UInt64.max, 1 << 63, 1 << 40, 1 << 20])
  func `counts beyond the file are refused before memory is taken`(count: UInt64) {
    var tensors = GGUFFile()
    tensors.head(tensors: count, pairs: 0)
    #expect(throws: ModelsError.self) { _ = try read(tensors.bytes) }
    var pairs = GGUFFile()
    pairs.head(tensors: 0, pairs: count)
    #expect(throws: ModelsError.self) { _ = try read(pairs.bytes) }
    var text = GGUFFile()
    text.head(tensors: 0, pairs: 1)
    text.integer(count, 8)
    #expect(throws: ModelsError.self) { _ = try read(text.bytes) }
    var array = GGUFFile()
    array.head(tensors: 0, pairs: 1)
    array.string("a")
    array.integer(9, 4)
    array.integer(0, 4)
    array.integer(count, 8)
    #expect(throws: ModelsError.self) { _ = try read(array.bytes) }
  }

  @Test func `nested arrays end at the limit`() {
    var file = GGUFFile()
    file.head(tensors: 0, pairs: 1)
    file.string("a")
    for _ in 0..<10_000 {
      file.integer(9, 4)
      file.integer(9, 4)
      file.integer(1, 8)
    }
    #expect(throws: ModelsError.self) { _ = try read(file.bytes) }
  }

  private static let impossible: [([UInt64], UInt64)] = [
    ([], 0), ([0], 0), ([1, 1, 1, 1, 1], 0), ([1 << 40, 1 << 40], 0), ([UInt64.max], 0),
    ([2, 2], UInt64.max), ([2, 2], 1 << 50),
  ]

  @Test(arguments: impossible)
  func `tensors that cannot be are refused`(dimensions: [UInt64], offset: UInt64) {
    var file = GGUFFile()
    file.head(tensors: 1, pairs: 0)
    file.tensor("t", dimensions, offset: offset)
    let bytes = file.bytes + [UInt8](repeating: 0, count: 64)
    #expect(throws: ModelsError.self) { _ = try read(bytes) }
  }

  @Test func `repeated names, bad text, bad flags and other versions are refused`() {
    var keys = GGUFFile()
    keys.head(tensors: 0, pairs: 2)
    keys.pair("a", number: 1)
    keys.pair("a", number: 2)
    var names = GGUFFile()
    names.head(tensors: 2, pairs: 0)
    names.tensor("t", [1])
    names.tensor("t", [1])
    var text = GGUFFile()
    text.head(tensors: 0, pairs: 1)
    text.integer(2, 8)
    text.bytes += [0xc3, 0x28]
    text.integer(4, 4)
    text.integer(1, 4)
    var flag = GGUFFile()
    flag.head(tensors: 0, pairs: 1)
    flag.string("a")
    flag.integer(7, 4)
    flag.integer(2, 1)
    var version = GGUFFile()
    version.head(tensors: 0, pairs: 0, version: 1)
    var bigEndian = GGUFFile()
    bigEndian.head(tensors: 0, pairs: 0, version: 0x0300_0000)
    for file in [keys, names, text, flag, version, bigEndian] {
      let bytes = file.bytes + [UInt8](repeating: 0, count: 64)
      #expect(throws: ModelsError.self) { _ = try read(bytes) }
    }
  }

  @Test func `widths that overflow give no estimate instead of a trap`() throws {
    var file = GGUFFile()
    file.head(tensors: 0, pairs: 4)
    file.pair("general.architecture", text: "x")
    file.pair("x.block_count", number: 4_294_967_295)
    file.pair("x.embedding_length", number: 4_294_967_295)
    file.pair("x.attention.head_count", number: 1)
    #expect(try read(file.bytes).contextBytesPerToken == nil)
  }
}
