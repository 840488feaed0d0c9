#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Lists folders of the system.
enum SystemFolder: Sendable {
  /// The names in a folder, ascending, without hidden ones; empty when it cannot be read.
  static func names(_ path: String) -> [String] {
    guard let folder = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { text in
          unsafe String(cString: text)
        }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}
