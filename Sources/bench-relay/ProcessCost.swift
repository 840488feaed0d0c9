internal import BloomBase

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// What the system says of another process, by proc(5).
enum ProcessCost: Sendable {
  /// User and system time, in steps of 10 ms.
  static func cpuMicroseconds(_ process: Int32) -> Double {
    let text = read("/proc/\(process)/stat")
    let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
    guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
      return 0
    }
    return (user + system) * 1e6 / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// Resident memory.
  static func residentKiB(_ process: Int32) -> Double {
    let fields = read("/proc/\(process)/statm").split(separator: " ")
    return fields.count > 1
      ? (Double(fields[1]) ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))) / 1_024 : 0
  }

  /// The first child of a process; nginx's worker.
  static func child(of process: Int32) -> Int32? {
    Int32(read("/proc/\(process)/task/\(process)/children").prefix { $0 != " " })
  }

  /// Both ends of ten thousand connections live in two processes.
  static func raiseDescriptorLimit() {
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
    guard let file = unsafe fopen(path, "r") else { return "" }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 4_096)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self)
  }
}
