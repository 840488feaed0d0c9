internal import BloomPlatform

#if canImport(Darwin)
internal import Darwin
#endif

/// Memory that another program could have now.
enum MachineMemory: Sendable {
  /// In MiB; 0 when the system does not say.
  static func availableMebibytes() -> Int {
    #if os(Linux)
    return (SystemMemory.availableBytes() ?? 0) >> 20
    #else
    var pages: Int32 = 0
    var size = MemoryLayout<Int32>.size
    guard unsafe sysctlbyname("vm.page_free_count", &pages, &size, nil, 0) == 0 else { return 0 }
    return Int(pages) * Int(getpagesize()) >> 20
    #endif
  }
}
