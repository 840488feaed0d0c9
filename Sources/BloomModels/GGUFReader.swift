/// Reads GGUF headers from untrusted bytes: every count and length is checked before it is used.
///
/// Pure; a hostile file gives an error, never a trap, a long loop or a large allocation.
public struct GGUFReader: Sendable {
  /// Our bounds, each far above what published models have.
  public enum Limits: Sendable {
    /// Bytes of a header; vocabularies of 256 thousand words with merges are below 20 MiB.
    public static let headerBytes = 64 << 20
    /// Key-value pairs.
    public static let pairs = 65_536
    /// Tensors.
    public static let tensors = 1 << 18
    /// Bytes of a key or a tensor's name; the format says 65,535 and 64.
    public static let nameBytes = 65_535
    /// Bytes of one string value: chat templates are the longest.
    public static let stringBytes = 4 << 20
    /// Items of an array that are kept; vocabularies are not.
    public static let keptItems = 64
    /// Arrays inside arrays.
    public static let depth = 4
    /// Items of all arrays together.
    public static let items = 1 << 24
  }

  private let bytes: [UInt8]
  private let fileBytes: UInt64
  private var offset = 0
  private var itemsLeft = Limits.items

  /// Reads the header at the start of a file.
  ///
  /// - Parameters:
  ///   - bytes: The file's first bytes, all of it or up to ``Limits/headerBytes``.
  ///   - fileBytes: The whole file's size, which tensors must lie within.
  /// - Returns: What the header says.
  /// - Throws: ``ModelsError`` `badHeader`.
  public static func header(_ bytes: [UInt8], fileBytes: UInt64) throws(ModelsError) -> GGUFHeader {
    var reader = GGUFReader(bytes: bytes, fileBytes: fileBytes)
    return try reader.header()
  }

  private init(bytes: [UInt8], fileBytes: UInt64) {
    self.bytes = bytes
    self.fileBytes = fileBytes
  }

  private mutating func header() throws(ModelsError) -> GGUFHeader {
    guard bytes.count <= Limits.headerBytes else { throw bad("the header is too long") }
    guard bytes.starts(with: [0x47, 0x47, 0x55, 0x46]) else {
      throw bad("it does not begin with GGUF")
    }
    offset = 4
    let version = UInt32(try integer(4))
    guard version == 2 || version == 3 else {
      throw bad("version \(version) is not 2 or 3")
    }
    let tensorCount = try count("tensors", maximum: Limits.tensors, bytesEach: 24)
    let pairCount = try count("metadata pairs", maximum: Limits.pairs, bytesEach: 13)
    var metadata: [String: GGUFValue] = [:]
    for _ in 0..<pairCount {
      let key = try string(maximum: Limits.nameBytes)
      guard metadata[key] == nil else { throw bad("a metadata key repeats") }
      metadata[key] = try value(UInt32(try integer(4)), depth: Limits.depth)
    }
    var names: Set<String> = []
    var tensors: [GGUFHeader.Tensor] = []
    for _ in 0..<tensorCount {
      let tensor = try tensor()
      guard names.insert(tensor.name).inserted else { throw bad("a tensor's name repeats") }
      tensors.append(tensor)
    }
    return GGUFHeader(version: version, metadata: metadata, tensors: tensors, byteCount: offset)
  }

  private mutating func tensor() throws(ModelsError) -> GGUFHeader.Tensor {
    let name = try string(maximum: Limits.nameBytes)
    let count = try integer(4)
    guard (1...4).contains(count) else { throw bad("a tensor has \(count) dimensions") }
    var dimensions: [UInt64] = []
    var elements: UInt64 = 1
    for _ in 0..<count {
      let size = try integer(8)
      let (product, over) = elements.multipliedReportingOverflow(by: size)
      guard size > 0, !over, product <= UInt64(Int64.max) else {
        throw bad("a tensor's dimensions are out of range")
      }
      elements = product
      dimensions.append(size)
    }
    let type = UInt32(try integer(4))
    let start = try integer(8)
    guard start < fileBytes else { throw bad("a tensor lies outside the file") }
    return GGUFHeader.Tensor(name: name, dimensions: dimensions, type: type, offset: start)
  }

  private mutating func value(_ type: UInt32, depth: Int) throws(ModelsError) -> GGUFValue {
    switch type {
    case 0: return .unsigned(try integer(1))
    case 1: return .signed(Int64(Int8(truncatingIfNeeded: try integer(1))))
    case 2: return .unsigned(try integer(2))
    case 3: return .signed(Int64(Int16(truncatingIfNeeded: try integer(2))))
    case 4: return .unsigned(try integer(4))
    case 5: return .signed(Int64(Int32(truncatingIfNeeded: try integer(4))))
    case 6: return .float(Double(Float(bitPattern: UInt32(try integer(4)))))
    case 7:
      let flag = try integer(1)
      guard flag <= 1 else { throw bad("a flag is neither 0 nor 1") }
      return .bool(flag == 1)
    case 8: return .string(try string(maximum: Limits.stringBytes))
    case 9: return try array(depth: depth)
    case 10: return .unsigned(try integer(8))
    case 11: return .signed(Int64(bitPattern: try integer(8)))
    case 12: return .float(Double(bitPattern: try integer(8)))
    default: throw bad("metadata type \(type) is not known")
    }
  }

  private mutating func array(depth: Int) throws(ModelsError) -> GGUFValue {
    guard depth > 0 else { throw bad("arrays are nested too deeply") }
    let type = UInt32(try integer(4))
    guard let least = Self.leastBytes(type) else { throw bad("metadata type \(type) is not known") }
    let count = try count("array items", maximum: Limits.items, bytesEach: least)
    guard count <= itemsLeft else { throw bad("arrays have too many items") }
    itemsLeft -= count
    if count > Limits.keptItems {
      for _ in 0..<count { try skip(type, depth: depth - 1) }
      return .skipped(count: UInt64(count))
    }
    var items: [GGUFValue] = []
    for _ in 0..<count { items.append(try value(type, depth: depth - 1)) }
    return .array(items)
  }

  private mutating func skip(_ type: UInt32, depth: Int) throws(ModelsError) {
    if type == 8 {
      let length = try count("string bytes", maximum: Limits.stringBytes, bytesEach: 1)
      offset += length
    } else {
      _ = try value(type, depth: depth)
    }
  }

  /// The fewest bytes that one value of a type takes.
  private static func leastBytes(_ type: UInt32) -> Int? {
    switch type {
    case 0, 1, 7: 1
    case 2, 3: 2
    case 4, 5, 6: 4
    case 8, 10, 11, 12: 8
    case 9: 12
    default: nil
    }
  }

  /// A count that is possible: within its maximum and within the bytes that are left.
  private mutating func count(
    _ what: String, maximum: Int, bytesEach: Int
  ) throws(ModelsError) -> Int {
    let value = try integer(8)
    guard value <= UInt64(maximum) else { throw bad("\(value) \(what) are too many") }
    guard Int(value) <= (bytes.count - offset) / bytesEach else {
      throw bad("the file ends inside its header")
    }
    return Int(value)
  }

  private mutating func string(maximum: Int) throws(ModelsError) -> String {
    let length = try count("string bytes", maximum: maximum, bytesEach: 1)
    let range = offset..<offset + length
    guard let text = String(validating: bytes[range], as: UTF8.self) else {
      throw bad("a string is not UTF-8")
    }
    offset += length
    return text
  }

  private mutating func integer(_ count: Int) throws(ModelsError) -> UInt64 {
    guard bytes.count - offset >= count else { throw bad("the file ends inside its header") }
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
    offset += count
    return value
  }

  private func bad(_ context: String) -> ModelsError {
    ModelsError(.badHeader, "\(context) (byte \(offset))")
  }
}
