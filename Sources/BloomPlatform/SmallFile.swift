#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Reads short text files of the system, such as those below `/proc` and `/sys`.
package enum SmallFile: Sendable {
  /// The text; `nil` when it cannot be opened or is longer than the limit.
  package static func read(_ path: String, limitBytes: Int) -> String? {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = systemRead(file, &chunk, chunk.count)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      guard count > 0, bytes.count + count <= limitBytes else { return nil }
      bytes.append(contentsOf: chunk[..<count])
    }
  }

  private static func systemRead(_ file: Int32, _ bytes: inout [UInt8], _ count: Int) -> Int {
    #if canImport(Glibc)
    unsafe Glibc.read(file, &bytes, count)
    #else
    unsafe Darwin.read(file, &bytes, count)
    #endif
  }
}
