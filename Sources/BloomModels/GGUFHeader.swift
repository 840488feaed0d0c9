/// The metadata of a GGUF file: key-value pairs and the list of tensors, never the weights.
///
/// Source: the GGUF specification of ggml, versions 2 and 3, little-endian.
public struct GGUFHeader: Equatable, Sendable {
  /// One tensor of the list.
  public struct Tensor: Equatable, Sendable {
    /// Its name.
    public let name: String
    /// Elements in each dimension, 1…4 of them.
    public let dimensions: [UInt64]
    /// The number of its data type in ggml.
    public let type: UInt32
    /// Bytes from the start of the data.
    public let offset: UInt64
  }

  /// 2 or 3.
  public let version: UInt32
  /// Metadata; long arrays are counted and passed over.
  public let metadata: [String: GGUFValue]
  /// The tensors in file order.
  public let tensors: [Tensor]
  /// Bytes of the header, before the data's alignment.
  public let byteCount: Int

  /// The model family, for example `llama`.
  public var architecture: String? { metadata["general.architecture"]?.text }
  /// The name in the file.
  public var name: String? { metadata["general.name"]?.text }
  /// The licence in the file.
  public var licence: String? { metadata["general.license"]?.text }
  /// Tokens of context in training.
  public var contextTokens: UInt64? { family("context_length") }
  /// The number of layers.
  public var layerCount: UInt64? { family("block_count") }
  /// Whether the file holds a chat template.
  public var hasChatTemplate: Bool { metadata["tokenizer.chat_template"] != nil }
  /// Whether the model makes vectors: it has a pooling and no generation.
  public var isEmbeddingModel: Bool { family("pooling_type").map { $0 > 0 } ?? false }

  /// Bytes of key and value cache for one token, at 16 bits, over all layers; `nil` when unknown.
  public var contextBytesPerToken: UInt64? {
    guard let layers = layerCount, let width = family("embedding_length"),
      let heads = family("attention.head_count"), heads > 0, layers <= 65_536,
      width <= 1 << 24
    else { return nil }
    let keyHeads = min(family("attention.head_count_kv") ?? heads, heads)
    let size = min(family("attention.key_length") ?? width / heads, width)
    let valueSize = min(family("attention.value_length") ?? width / heads, width)
    let (perLayer, over) = keyHeads.multipliedReportingOverflow(by: size + valueSize)
    let (sum, overSum) = perLayer.multipliedReportingOverflow(by: 2 * layers)
    return over || overSum ? nil : sum
  }

  private func family(_ key: String) -> UInt64? {
    architecture.flatMap { metadata["\($0).\(key)"]?.unsigned }
  }
}

/// A value of the metadata.
public enum GGUFValue: Equatable, Sendable {
  /// Any unsigned integer.
  case unsigned(UInt64)
  /// Any signed integer.
  case signed(Int64)
  /// Either precision.
  case float(Double)
  /// One byte, 0 or 1.
  case bool(Bool)
  /// UTF-8.
  case string(String)
  /// An array of at most ``GGUFReader/Limits/keptItems`` items.
  case array([GGUFValue])
  /// A longer array, passed over.
  case skipped(count: UInt64)

  /// The text of a string.
  public var text: String? { if case .string(let text) = self { text } else { nil } }
  /// The value of an integer that is not negative.
  public var unsigned: UInt64? {
    switch self {
    case .unsigned(let value): value
    case .signed(let value): UInt64(exactly: value)
    case .float, .bool, .string, .array, .skipped: nil
    }
  }
}
