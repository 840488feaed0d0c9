#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Sees when the program's files were replaced by an update; pure but for stat(2).
struct ProgramWatch: Sendable {
  /// What tells one file from another with the same name.
  struct Mark: Sendable, Equatable {
    var inode: UInt64
    var size: Int64
    var changed: Int64
  }

  private let paths: [String]
  private let first: [Mark?]
  private var last: [Mark?]

  /// Remembers the files as they are.
  init(paths: [String]) {
    self.paths = paths
    first = paths.map(Self.mark)
    last = first
  }

  /// Whether all files are there and differ from the start, the same at two looks: a package
  /// manager that is still writing is waited for.
  mutating func isReplaced() -> Bool { isReplaced(paths.map(Self.mark)) }

  mutating func isReplaced(_ now: [Mark?]) -> Bool {
    defer { last = now }
    return now != first && now == last && now.allSatisfy { $0 != nil }
  }

  private static func mark(_ path: String) -> Mark? {
    var facts = stat()
    guard unsafe stat(path, &facts) == 0 else { return nil }
    #if canImport(Glibc)
    let seconds = facts.st_mtim.tv_sec
    #else
    let seconds = facts.st_mtimespec.tv_sec
    #endif
    return Mark(
      inode: UInt64(facts.st_ino), size: Int64(facts.st_size), changed: Int64(seconds))
  }
}
