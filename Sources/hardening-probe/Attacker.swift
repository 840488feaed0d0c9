#if canImport(Glibc)
import CPlatform
import Glibc

/// Tries what a debugger would, and prints one line a way in: `name ok` or `name refused`.
enum Attacker {
  static func run(_ arguments: [String]) {
    guard arguments.count == 2, let victim = pid_t(arguments[0]), let address = UInt(arguments[1])
    else { return print("usage: attack PID ADDRESS") }
    report("process_vm_readv", readByCall(victim, address))
    report("proc_mem", readByFile(victim, address))
    report("attach", cplatform_try_attach(victim) == 0)
  }

  /// Tries to read anything at an address, whatever stands there: for victims that are no probes.
  static func reach(_ arguments: [String]) {
    guard arguments.count == 2, let victim = pid_t(arguments[0]), let address = UInt(arguments[1])
    else { return print("usage: reach PID ADDRESS") }
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = unsafe cplatform_try_read(victim, UInt64(address), &bytes, bytes.count)
    report("process_vm_readv", count == bytes.count)
    let file = unsafe open("/proc/\(victim)/mem", O_RDONLY)
    let got = unsafe file < 0 ? -1 : pread(file, &bytes, bytes.count, off_t(address))
    report("proc_mem", got > 0)
    if file >= 0 { close(file) }
    report("attach", cplatform_try_attach(victim) == 0)
  }

  private static func report(_ name: String, _ isOpen: Bool) {
    print("\(name) \(isOpen ? "ok" : "refused")")
  }

  private static func readByCall(_ victim: pid_t, _ address: UInt) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = unsafe cplatform_try_read(victim, UInt64(address), &bytes, bytes.count)
    return count == 16 && bytes == Victim.secret
  }

  private static func readByFile(_ victim: pid_t, _ address: UInt) -> Bool {
    let file = unsafe open("/proc/\(victim)/mem", O_RDONLY)
    guard file >= 0 else { return false }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = unsafe pread(file, &bytes, 16, off_t(address))
    return count == 16 && bytes == Victim.secret
  }
}
#else
/// The attacks are Linux's own.
enum Attacker {
  static func run(_ arguments: [String]) { print("not on this system") }
  static func reach(_ arguments: [String]) { print("not on this system") }
}
#endif
