/// Builds GGUF files for tests, right or wrong.
struct GGUFFile {
  var bytes: [UInt8] = Array("GGUF".utf8)

  mutating func integer(_ value: UInt64, _ count: Int) {
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
  }
  mutating func string(_ text: String) {
    integer(UInt64(text.utf8.count), 8)
    bytes += Array(text.utf8)
  }
  mutating func head(tensors: UInt64, pairs: UInt64, version: UInt64 = 3) {
    integer(version, 4)
    integer(tensors, 8)
    integer(pairs, 8)
  }
  mutating func pair(_ key: String, text: String) {
    string(key)
    integer(8, 4)
    string(text)
  }
  mutating func pair(_ key: String, number: UInt64) {
    string(key)
    integer(4, 4)
    integer(number, 4)
  }
  mutating func tensor(_ name: String, _ dimensions: [UInt64], offset: UInt64 = 0) {
    string(name)
    integer(UInt64(dimensions.count), 4)
    for size in dimensions { integer(size, 8) }
    integer(0, 4)
    integer(offset, 8)
  }

  /// A small chat model with a vocabulary and two tensors.
  static func sample(words: Int = 100, tail: Int = 64) -> [UInt8] {
    var file = GGUFFile()
    file.head(tensors: 2, pairs: 10)
    file.pair("general.architecture", text: "llama")
    file.pair("general.name", text: "Sample")
    file.pair("general.license", text: "apache-2.0")
    file.pair("llama.context_length", number: 2048)
    file.pair("llama.block_count", number: 30)
    file.pair("llama.embedding_length", number: 576)
    file.pair("llama.attention.head_count", number: 9)
    file.pair("llama.attention.head_count_kv", number: 3)
    file.pair("tokenizer.chat_template", text: "{{ messages }}")
    file.string("tokenizer.ggml.tokens")
    file.integer(9, 4)
    file.integer(8, 4)
    file.integer(UInt64(words), 8)
    for word in 0..<words { file.string("word\(word)") }
    file.tensor("token_embd.weight", [576, 100])
    file.tensor("output.weight", [576, 100], offset: 32)
    return file.bytes + [UInt8](repeating: 7, count: tail)
  }
}
