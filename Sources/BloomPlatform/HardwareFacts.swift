internal import CPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// What this machine can compute with; no serial number, host name or address.
public struct HardwareFacts: Equatable, Sendable {
  /// The processor architecture, for example `x86_64` or `arm64`.
  public let architecture: String
  /// Processors the process may run on.
  public let logicalCores: Int
  /// Bytes of main memory.
  public let memoryBytes: UInt64
  /// The processor's instruction-set extensions, ascending; part of the engine identity because
  /// kernels, and so the last bits of a result, depend on them.
  public let processorFeatures: [String]

  /// Describes a machine.
  public init(
    architecture: String, logicalCores: Int, memoryBytes: UInt64, processorFeatures: [String]
  ) {
    self.architecture = architecture
    self.logicalCores = logicalCores
    self.memoryBytes = memoryBytes
    self.processorFeatures = processorFeatures.sorted()
  }

  /// One line that is equal on machines whose kernels are equal: the input of a digest.
  public var featureText: String {
    ([architecture] + processorFeatures).joined(separator: " ")
  }

  /// Reads this machine's facts; opens files on Linux, so before lock-down.
  public static func current() -> HardwareFacts {
    let pages = max(sysconf(Int32(_SC_PHYS_PAGES)), 0)
    let pageBytes = max(sysconf(Int32(_SC_PAGESIZE)), 0)
    return HardwareFacts(
      architecture: machineName, logicalCores: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
      memoryBytes: UInt64(pages) * UInt64(pageBytes), processorFeatures: features())
  }

  private static var machineName: String {
    #if arch(x86_64)
    "x86_64"
    #elseif arch(arm64)
    "arm64"
    #else
    "other"
    #endif
  }

  #if os(Linux)
  private static func features() -> [String] {
    guard let text = SmallFile.read("/proc/cpuinfo", limitBytes: 1 << 20) else { return [] }
    return features(cpuinfo: text)
  }
  #else
  private static func features() -> [String] {
    // The names below hw.optional that decide which kernels llama.cpp takes.
    let names = [
      "AdvSIMD", "arm.FEAT_DotProd", "arm.FEAT_I8MM", "arm.FEAT_BF16", "arm.FEAT_FP16",
      "arm.FEAT_SME", "arm.FEAT_SME2", "avx2_0", "avx512f", "fma",
    ]
    return names.filter { name in
      var value: Int32 = 0
      var size = MemoryLayout<Int32>.size
      return unsafe sysctlbyname("hw.optional.\(name)", &value, &size, nil, 0) == 0 && value == 1
    }
  }
  #endif

  /// The features of the first processor in the text of `/proc/cpuinfo`.
  package static func features(cpuinfo text: String) -> [String] {
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let key = parts[0].filter { $0 != "\t" && $0 != " " }
      guard key == "flags" || key == "Features" else { continue }
      return Set(parts[1].split(separator: " ").map(String.init)).sorted()
    }
    return []
  }
}
