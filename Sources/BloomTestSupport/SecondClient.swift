internal import BloomBase
internal import BloomPlatform
#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The client in Python that is written from docs/protocol.md alone, `Tests/Python/seal_client.py`.
package enum SecondClient {
  /// The package's folder.
  package static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

  /// Runs it with the Python of `scripts/deps-test` and gives what it printed.
  ///
  /// - Parameters:
  ///   - mode: The first argument.
  ///   - path: A file of names and hexadecimal values.
  /// - Returns: Its lines.
  /// - Throws: ``TestSupportError`` with what it printed when it refuses.
  package static func run(_ mode: String, _ path: String) throws(TestSupportError) -> String {
    let python =
      ProcessEnvironment.current["DARKBLOOM_TEST_PYTHON"] ?? "\(root)/.build/test-python/bin/python"
    let command = "'\(python)' '\(root)/Tests/Python/seal_client.py' \(mode) '\(path)' 2>&1"
    guard let pipe = unsafe popen(command, "r") else {
      throw TestSupportError("the second client was not started")
    }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = unsafe fread(&buffer, 1, buffer.count, pipe), count > 0 {
      output += buffer[..<count]
    }
    let said = String(decoding: output, as: UTF8.self)
    guard unsafe pclose(pipe) == 0 else { throw TestSupportError("the second client: \(said)") }
    return said
  }

  /// Runs it on values, handed over as lines of `name hex`.
  ///
  /// - Parameters:
  ///   - mode: The first argument.
  ///   - values: What it is to read.
  ///   - vectors: A file that keeps the values when `DARKBLOOM_WRITE_VECTORS` is set.
  /// - Returns: Its lines.
  /// - Throws: ``TestSupportError``, also with what it printed when it refuses.
  package static func run(
    _ mode: String, values: [(name: String, bytes: [UInt8])], vectors: String? = nil
  ) throws(TestSupportError) -> String {
    let lines = values.map { "\($0.name) \(Hex.encode($0.bytes))\n" }.joined()
    let input = "/tmp/bloom-client-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    defer { unsafe unlink(input) }
    try write(lines, to: input)
    if let vectors, ProcessEnvironment.current["DARKBLOOM_WRITE_VECTORS"] != nil {
      try write(lines, to: vectors)
    }
    return try run(mode, input)
  }

  private static func write(_ text: String, to path: String) throws(TestSupportError) {
    guard let file = unsafe fopen(path, "w") else {
      throw TestSupportError("\(path) cannot be written")
    }
    unsafe fputs(text, file)
    unsafe fclose(file)
  }
}
