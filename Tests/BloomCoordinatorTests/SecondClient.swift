import BloomBase
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The client in Python that is written from docs/protocol.md alone, `Tests/Python/seal_client.py`.
///
/// Runs with the Python of `scripts/deps-test`.
enum SecondClient {
  struct Failed: Error {}

  private static let root =
    "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

  /// Checks a directory's answers and gives the machines that it lists.
  ///
  /// With `DARKBLOOM_WRITE_VECTORS=1` and `isVector` they are kept under Tests/Vectors.
  static func directory(
    _ values: [(name: String, bytes: [UInt8])], isVector: Bool = false
  ) throws -> [String] {
    let lines = values.map { "\($0.name) \(Hex.encode($0.bytes))\n" }.joined()
    let input = "/tmp/bloom-directory-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    defer { _ = unsafe unlink(input) }
    try write(lines, to: input)
    if isVector, unsafe getenv("DARKBLOOM_WRITE_VECTORS") != nil {
      try write(lines, to: vectors)
    }
    return try run(input)
  }

  /// The same for the answers that lie under Tests/Vectors, for people who write another client.
  static func storedDirectory() throws -> [String] { try run(vectors) }

  private static var vectors: String { "\(root)/Tests/Vectors/directory.txt" }

  private static func run(_ path: String) throws -> [String] {
    let python =
      unsafe getenv("BLOOM_TEST_PYTHON").map { unsafe String(cString: $0) }
      ?? "\(root)/.build/test-python/bin/python"
    let command = "'\(python)' '\(root)/Tests/Python/seal_client.py' directory '\(path)'"
    guard let pipe = unsafe popen(command, "r") else { throw Failed() }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = unsafe fread(&buffer, 1, buffer.count, pipe), count > 0 {
      output += buffer[..<count]
    }
    guard unsafe pclose(pipe) == 0 else { throw Failed() }
    return String(decoding: output, as: UTF8.self).split(separator: "\n").map {
      String($0.dropFirst("machine ".count))
    }
  }

  private static func write(_ text: String, to path: String) throws {
    guard let file = unsafe fopen(path, "w") else { throw Failed() }
    unsafe fputs(text, file)
    unsafe fclose(file)
  }
}
