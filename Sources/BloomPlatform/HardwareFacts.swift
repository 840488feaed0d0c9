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
  /// Processors that are online.
  public let logicalCores: Int
  /// Processors' worth of time that this process may use, at least 1: those it may run on
  /// (sched_getaffinity(2)), or what control groups of version 2 leave of them, rounded up.
  ///
  /// On macOS all that are online. The measure for threads that compute.
  public let usableCores: Int
  /// Bytes of main memory.
  public let memoryBytes: UInt64

  /// Reads this machine's facts; opens files on Linux, so before lock-down.
  public static func current() -> HardwareFacts {
    let pages = max(sysconf(Int32(_SC_PHYS_PAGES)), 0)
    let pageBytes = max(sysconf(Int32(_SC_PAGESIZE)), 0)
    let allowed = max(1, Int(cplatform_processor_count()))
    let quota = ProcessorQuota.strictest { SmallFile.read($0, limitBytes: 16_384) }
    return HardwareFacts(
      architecture: machineName, logicalCores: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
      usableCores: min(allowed, quota ?? allowed),
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
