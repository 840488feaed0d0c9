#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Long variants run when DARKBLOOM_DEEP=1.
enum Deep {
  static func count(_ usual: Int, deep: Int) -> Int {
    unsafe getenv("DARKBLOOM_DEEP") == nil ? usual : deep
  }
}

/// A folder of its own for one test, removed with everything in it.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/darkbloom-models-XXXXXX".utf8CString)
    path = unsafe template.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress, let made = unsafe mkdtemp(base) else { return "" }
      return unsafe String(cString: made)
    }
    guard !path.isEmpty else { throw Failure() }
  }

  struct Failure: Error {}

  func write(_ bytes: [UInt8], _ name: String) throws -> String {
    let target = "\(path)/\(name)"
    guard let file = unsafe fopen(target, "w") else { throw Failure() }
    defer { unsafe fclose(file) }
    guard unsafe fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Failure() }
    return target
  }

  func make(_ name: String) {
    var path = path
    for part in name.split(separator: "/") {
      path += "/\(part)"
      unsafe mkdir(path, 0o700)
    }
  }

  deinit { unsafe system("rm -rf '\(path)'") }
}
