/// What the system says of its memory.
package enum SystemMemory: Sendable {
  /// Bytes that programs can still get without swapping; `nil` when the system does not tell.
  package static func availableBytes() -> Int? {
    #if os(Linux)
    guard let text = SmallFile.read("/proc/meminfo", limitBytes: 65_536) else { return nil }
    return field("MemAvailable", inMeminfo: text).map { $0 * 1_024 }
    #else
    return nil
    #endif
  }

  /// A field of `/proc/meminfo`, in KiB; `nil` when there is none.
  ///
  /// proc_meminfo(5).
  package static func field(_ name: String, inMeminfo text: String) -> Int? {
    for line in text.split(separator: "\n") where line.hasPrefix(name + ":") {
      return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    }
    return nil
  }
}
