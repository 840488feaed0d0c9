import BloomBase
import BloomWire
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Reads files of `Tests/Vectors`.
enum Vectors {
  static func bytes(_ path: String) throws -> [UInt8] {
    let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    let name = folder.joined(separator: "/") + "/Vectors/" + path
    let file = try unsafe #require(unsafe fopen(name, "rb"), "\(path) is missing")
    defer { unsafe fclose(file) }
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = unsafe fread(&buffer, 1, buffer.count, file), count > 0 {
      result.append(contentsOf: buffer[..<count])
    }
    return result
  }

  static func json(_ path: String) throws -> JSONValue {
    try JSONValue(decoding: try bytes(path), limits: .request)
  }
}

extension JSONValue {
  func hex(_ name: String) throws -> [UInt8] {
    let text = try #require(self[name]?.string)
    return try #require(Hex.decode(text))
  }

  func base64(_ name: String) throws -> [UInt8] {
    let text = try #require(self[name]?.string)
    return try #require(Base64.decode(text))
  }
}
