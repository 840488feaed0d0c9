#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Reads short files whole: private ones, and those of the system below `/proc` and `/sys`.
package enum SmallFile: Sendable {
  /// The bytes of a file.
  ///
  /// open(2), read(2).
  ///
  /// - Parameters:
  ///   - path: The file; links to it are followed.
  ///   - limitBytes: Longer files are an error.
  /// - Returns: All of it.
  /// - Throws: ``SystemError``: `ENOENT` when there is no such file, `EFBIG` when it is too long.
  package static func bytes(_ path: String, limitBytes: Int) throws(SystemError) -> [UInt8] {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw SystemError(errno) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = systemRead(file, &chunk, chunk.count)
      if count == 0 { return bytes }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw SystemError(errno) }
      guard bytes.count + count <= limitBytes else { throw SystemError(EFBIG) }
      bytes.append(contentsOf: chunk[..<count])
    }
  }

  /// The text of a file; `nil` when it cannot be read or is longer than the limit.
  package static func read(_ path: String, limitBytes: Int) -> String? {
    (try? bytes(path, limitBytes: limitBytes)).map { String(decoding: $0, as: UTF8.self) }
  }

  private static func systemRead(_ file: Int32, _ bytes: inout [UInt8], _ count: Int) -> Int {
    #if canImport(Glibc)
    unsafe Glibc.read(file, &bytes, count)
    #else
    unsafe Darwin.read(file, &bytes, count)
    #endif
  }
}
