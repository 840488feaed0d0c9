internal import CPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The two steps that lock a process down, and the check that they hold.
///
/// Step one while the process has one thread, before anything else; step two after all files are
/// open and all code is loaded. Neither can be undone. Manual pages: prctl(2), landlock(7),
/// seccomp(2), network_namespaces(7), ptrace(2).
public enum ProcessHardening: Sendable {
  /// What a program wants from step one.
  public struct Plan: Sendable {
    /// Descriptors that stay open beside 0, 1 and 2.
    public var keptDescriptors: [Int32]
    /// Of those, the files that may be opened again by `/proc/self/fd/N` until step two.
    public var readableDescriptors: [Int32]
    /// Folders that libraries may read until step two; missing ones are passed over.
    public var readableFolders: [String]
    /// Whether a guard process takes the tracer's place.
    public var startsGuard: Bool
    /// Whether graphics drivers are needed after step two.
    public var allowsDeviceControl: Bool

    /// Plans a process that keeps some descriptors.
    public init(
      keptDescriptors: [Int32], readableDescriptors: [Int32] = [],
      readableFolders: [String] = ["/proc", "/sys", "/usr/lib", "/lib"],
      startsGuard: Bool = true, allowsDeviceControl: Bool = false
    ) {
      self.keptDescriptors = keptDescriptors
      self.readableDescriptors = readableDescriptors
      self.readableFolders = readableFolders
      self.startsGuard = startsGuard
      self.allowsDeviceControl = allowsDeviceControl
    }
  }

  /// What only step one can know; step two needs it for the facts.
  public struct Begun: Equatable, Sendable {
    /// Protections that were set and that a later check cannot see.
    public internal(set) var facts: Set<SandboxFact> = []
    var allowsDeviceControl = false
  }

  /// Refuses traces, dumps and privileges, leaves the network and closes most of the file system.
  ///
  /// Call it in the first lines of `main`: namespaces and Landlock bind only the calling thread.
  /// What the kernel lacks is left out and missing from the facts; what must not fail throws.
  ///
  /// - Parameter plan: What stays open.
  /// - Returns: What is in force, for ``finish(_:)``.
  /// - Throws: ``PlatformError`` `hardeningFailed`.
  public static func begin(_ plan: Plan) throws(PlatformError) -> Begun {
    var begun = Begun()
    begun.allowsDeviceControl = plan.allowsDeviceControl
    let kept = plan.keptDescriptors.sorted()
    guard unsafe cplatform_close_other_descriptors(kept, kept.count) == 0 else {
      throw PlatformError(
        .hardeningFailed,
        "closing inherited descriptors; run Linux 5.9 or later, which has "
          + "close_range, outside a container that forbids it")
    }
    _ = cplatform_die_with_parent()
    // Before the process is made untraceable, and before the namespaces: the guard shares them.
    if plan.startsGuard, cplatform_start_guard() == 0 { begun.facts.insert(.guarded) }
    if cplatform_leave_network() == 0 { begun.facts.insert(.emptyNetwork) }
    guard cplatform_harden_process() == 0 else {
      throw PlatformError(
        .hardeningFailed, "refusing traces and dumps; \(SandboxFact.notTraceable.remedy)")
    }
    // A new user namespace or another identity clears the signal that follows the parent's death.
    _ = cplatform_die_with_parent()
    if cplatform_drop_capabilities() == 0 { begun.facts.insert(.noCapabilities) }
    let folders = plan.readableFolders.map { unsafe open($0, O_RDONLY | O_CLOEXEC) }
      .filter { $0 >= 0 }
    defer { for folder in folders { close(folder) } }
    let readable = folders + plan.readableDescriptors
    if unsafe cplatform_landlock_restrict(readable, readable.count) == 0 {
      begun.facts.insert(.fileSystemClosed)
    }
    return begun
  }

  /// Forbids new files, sockets, processes and code in every thread, then tries each.
  ///
  /// - Parameter begun: The result of ``begin(_:)``.
  /// - Returns: The protections in force.
  /// - Throws: ``PlatformError`` `hardeningFailed` when the filter cannot be installed.
  public static func finish(_ begun: Begun) throws(PlatformError) -> SandboxFacts {
    #if os(Linux)
    guard cplatform_seccomp_install(begun.allowsDeviceControl ? 1 : 0) == 0 else {
      throw PlatformError(
        .hardeningFailed, "the filter of system calls; \(SandboxFact.noFiles.remedy)")
    }
    #elseif os(macOS)
    try MacSandbox.enter()
    #endif
    var facts = inForce()
    facts.facts.formUnion(begun.facts)
    if begun.allowsDeviceControl { facts.facts.insert(.deviceControl) }
    return facts
  }

  /// What can be found out from inside at any time, by trying and by asking the kernel.
  public static func inForce() -> SandboxFacts {
    var facts = SandboxFacts()
    func add(_ fact: SandboxFact, if holds: Bool) { if holds { facts.facts.insert(fact) } }
    var core = rlimit()
    #if canImport(Glibc)
    let hasLimit = unsafe getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &core) == 0
    #else
    let hasLimit = unsafe getrlimit(RLIMIT_CORE, &core) == 0
    #endif
    let isDumpable = cplatform_is_dumpable() != 0
    add(.noCoreDumps, if: hasLimit && core.rlim_max == 0 && !isDumpable)
    add(.notTraceable, if: !isDumpable)
    add(.noNewPrivileges, if: cplatform_has_no_new_privileges() == 1)
    add(.noCapabilities, if: cplatform_has_no_capabilities() == 1)
    func isRefused(_ probes: [Int]) -> Bool {
      // A probe that the system does not know (-ENOTSUP) has nothing to refuse.
      probes.allSatisfy { cplatform_probe(Int32($0)) != 0 }
    }
    add(.noNetwork, if: isRefused([cplatform_probe_inet_socket, cplatform_probe_unix_socket]))
    add(
      .noFiles,
      if: isRefused([
        cplatform_probe_open, cplatform_probe_open_own_memory, cplatform_probe_other_process,
      ]))
    add(.noProcesses, if: isRefused([cplatform_probe_fork, cplatform_probe_exec]))
    add(
      .noInspection,
      if: isRefused([
        cplatform_probe_ptrace, cplatform_probe_read_process, cplatform_probe_signal_parent,
        cplatform_probe_io_uring,
      ]))
    add(.noNewCode, if: isRefused([cplatform_probe_executable_memory]))
    return facts
  }

  /// Stops the process from serving when a protection it must have is absent.
  ///
  /// - Parameters:
  ///   - required: What must be in force.
  ///   - facts: What is.
  /// - Throws: ``PlatformError`` `protectionMissing`, naming the absent ones and their remedies.
  public static func require(_ required: Set<SandboxFact>, in facts: SandboxFacts)
    throws(PlatformError)
  {
    let missing = SandboxFacts(required.subtracting(facts.facts))
    guard missing.facts.isEmpty else { throw PlatformError.missing(missing) }
  }

  /// The filter of system calls as 8-byte instructions, big-endian: its digest names the filter.
  ///
  /// - Parameter allowsDeviceControl: Whether ioctl(2) stays.
  /// - Returns: The same bytes in every process; empty where there is no such filter.
  public static func filterProgram(allowsDeviceControl: Bool) -> [UInt8] {
    let count = cplatform_seccomp_program(nil, 0, allowsDeviceControl ? 1 : 0)
    var words = [UInt64](repeating: 0, count: count)
    _ = unsafe cplatform_seccomp_program(&words, count, allowsDeviceControl ? 1 : 0)
    return words.flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
    }
  }
}
