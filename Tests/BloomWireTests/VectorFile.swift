import BloomBase
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A checked-in list of `name hex` lines under Tests/Vectors, for people who write another client.
///
/// `DARKBLOOM_WRITE_VECTORS=1` writes the files anew; a test that then differs is a change of
/// the protocol and needs a new version.
struct VectorFile {
  private let path: String

  init(_ name: String, file: String = #filePath) {
    var parts = file.split(separator: "/", omittingEmptySubsequences: false)
    parts.removeLast(2)
    path = parts.joined(separator: "/") + "/Vectors/\(name)"
  }

  func check(_ vectors: [(name: String, bytes: [UInt8])]) throws {
    let lines = vectors.map { "\($0.name) \(Hex.encode($0.bytes))" }
    let text = lines.joined(separator: "\n") + "\n"
    if ProcessInfo.processInfo.environment["DARKBLOOM_WRITE_VECTORS"] == "1" {
      try text.write(toFile: path, atomically: true, encoding: .utf8)
    }
    let stored = try String(contentsOfFile: path, encoding: .utf8)
    let expected = stored.split(separator: "\n").map(String.init)
    #expect(expected.count == lines.count, "\(path)")
    for (line, wanted) in zip(lines, expected) { #expect(line == wanted) }
  }
}
