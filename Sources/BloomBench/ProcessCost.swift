internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// What the system says of another process, by proc(5); zeros where there is no such file.
public enum ProcessCost: Sendable {
  /// User and system time in microseconds, in steps of 10 ms.
  public static func cpuMicroseconds(_ process: Int32) -> Double {
    let text = read("/proc/\(process)/stat")
    let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
    guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
      return 0
    }
    return (user + system) * 1e6 / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// Resident memory in KiB.
  public static func residentKiB(_ process: Int32) -> Double {
    let fields = read("/proc/\(process)/statm").split(separator: " ")
    return fields.count > 1
      ? (Double(fields[1]) ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))) / 1_024 : 0
  }

  /// The first child of a process, such as nginx's worker; `nil` when it has none.
  public static func child(of process: Int32) -> Int32? {
    Int32(read("/proc/\(process)/task/\(process)/children").prefix { $0 != " " })
  }

  /// Raises this process's limit of open files: both ends of thousands of connections need it.
  public static func raiseDescriptorLimit() {
    var limit = rlimit()
    #if canImport(Glibc)
    let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    let kind = RLIMIT_NOFILE
    #endif
    guard unsafe getrlimit(kind, &limit) == 0 else { return }
    limit.rlim_cur = min(limit.rlim_max, 65_536)
    unsafe setrlimit(kind, &limit)
  }

  private static func read(_ path: String) -> String {
    SmallFile.read(path, limitBytes: 4_096) ?? ""
  }
}
