internal import BloomPlatform

#if canImport(Darwin)
internal import Darwin
#endif

/// Memory that another program could have now.
enum MachineMemory: Sendable {
  /// In MiB; 0 when the system does not say.
  static func availableMebibytes() -> Int {
    #if os(Linux)
    guard let text = SmallFile.read("/proc/meminfo", limitBytes: 65_536) else { return 0 }
    return field("MemAvailable", inMeminfo: text) / 1_024
    #else
    var pages: Int32 = 0
    var size = MemoryLayout<Int32>.size
    guard unsafe sysctlbyname("vm.page_free_count", &pages, &size, nil, 0) == 0 else { return 0 }
    return Int(pages) * Int(getpagesize()) >> 20
    #endif
  }

  /// A field of `/proc/meminfo`, in KiB; 0 when there is none.
  static func field(_ name: String, inMeminfo text: String) -> Int {
    for line in text.split(separator: "\n") where line.hasPrefix(name + ":") {
      return line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }
    return 0
  }
}
