#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// What this machine can compute with; no serial number, host name or address.
public struct HardwareFacts: Equatable, Sendable {
  /// The processor architecture, for example `x86_64` or `arm64`.
  public let architecture: String
  /// Processors that are online.
  public let logicalCores: Int
  /// Bytes of main memory.
  public let memoryBytes: UInt64

  /// Reads this machine's facts; opens files on Linux, so before lock-down.
  public static func current() -> HardwareFacts {
    let pages = max(sysconf(Int32(_SC_PHYS_PAGES)), 0)
    let pageBytes = max(sysconf(Int32(_SC_PAGESIZE)), 0)
    return HardwareFacts(
      architecture: machineName, logicalCores: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
      memoryBytes: UInt64(pages) * UInt64(pageBytes))
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
}
