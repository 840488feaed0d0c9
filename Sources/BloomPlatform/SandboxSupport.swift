internal import CPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// What this system offers for a worker's protections, asked without locking anything down.
///
/// A guess before the start, for whoever repairs the machine: what is in force is found out by the
/// worker itself.
public struct SandboxSupport: Equatable, Sendable {
  /// Whether the kernel filters system calls, seccomp(2).
  public var filtersSystemCalls: Bool
  /// The kernel's version of Landlock; 0 where it has none or it is switched off.
  public var landlockVersion: Int
  /// Whether this user may enter an empty network namespace.
  public var allowsEmptyNetwork: Bool
  /// Whether a process may let its child trace it.
  public var allowsGuard: Bool
  /// How memory for keys can be kept; `nil` when none can be locked.
  public var keyMemory: LockedMemory.Protection?

  /// Describes a system.
  public init(
    filtersSystemCalls: Bool, landlockVersion: Int, allowsEmptyNetwork: Bool, allowsGuard: Bool,
    keyMemory: LockedMemory.Protection?
  ) {
    self.filtersSystemCalls = filtersSystemCalls
    self.landlockVersion = landlockVersion
    self.allowsEmptyNetwork = allowsEmptyNetwork
    self.allowsGuard = allowsGuard
    self.keyMemory = keyMemory
  }

  /// Asks this system; opens files and ends a child process, so before lock-down.
  public static func current() -> SandboxSupport {
    SandboxSupport(
      filtersSystemCalls: cplatform_seccomp_mode() >= 0,
      landlockVersion: Int(cplatform_landlock_abi()),
      allowsEmptyNetwork: cplatform_can_leave_network() != 0,
      allowsGuard: allowsTracing, keyMemory: lockableMemory())
  }

  /// The protections that a worker started here would lack.
  public var lacking: SandboxFacts {
    var facts: Set<SandboxFact> = []
    if !filtersSystemCalls {
      facts.formUnion([.noNetwork, .noFiles, .noProcesses, .noInspection, .noNewCode])
    }
    if landlockVersion < 1 { facts.insert(.fileSystemClosed) }
    if !allowsEmptyNetwork { facts.insert(.emptyNetwork) }
    if !allowsGuard { facts.insert(.guarded) }
    if keyMemory == nil { facts.insert(.lockedKeys) }
    if keyMemory != .secret { facts.insert(.secretKeys) }
    return SandboxFacts(facts)
  }

  /// Yama's scope: from 2 on only root may trace, with 3 nobody; absent where nothing restricts it.
  private static var allowsTracing: Bool {
    let text = SmallFile.read("/proc/sys/kernel/yama/ptrace_scope", limitBytes: 64) ?? ""
    let scope = Int(text.filter { !$0.isWhitespace }) ?? 0
    return scope < 2 || (scope == 2 && geteuid() == 0)
  }

  private static func lockableMemory() -> LockedMemory.Protection? {
    do throws(PlatformError) {
      let memory = try LockedMemory(count: 65_536)
      return memory.protection
    } catch {
      return nil  // the answer to what was asked
    }
  }
}

extension SandboxFact {
  /// What the owner of a machine does where this protection cannot be had; one line.
  public var remedy: String {
    switch self {
    case .noCoreDumps, .notTraceable, .noNewPrivileges:
      "start the node outside the container that forbids prctl and setrlimit"
    case .noNetwork, .noFiles, .noProcesses, .noInspection, .noNewCode: Self.walls
    case .guarded:
      "let a process trace its parent: sysctl kernel.yama.ptrace_scope=1, and outside a container "
        + "that forbids ptrace"
    case .noCapabilities: "start the node as an ordinary user"
    case .emptyNetwork:
      "permit network namespaces: sysctl user.max_user_namespaces above 0, on Debian "
        + "kernel.unprivileged_userns_clone=1, on Ubuntu "
        + "kernel.apparmor_restrict_unprivileged_userns=0, and outside a container that forbids "
        + "unshare"
    case .fileSystemClosed:
      "run Linux 5.13 or later with Landlock switched on: the boot parameter lsm= must name it"
    case .lockedKeys: "raise the locked-memory limit to 1 MiB or more (ulimit -l, LimitMEMLOCK=)"
    case .secretKeys: "run Linux 5.14 or later with the boot parameter secretmem.enable=1"
    case .deviceControl: "demand it of no worker: it is a hole, not a protection"
    }
  }

  private static var walls: String {
    #if os(Linux)
    "run a kernel with seccomp filters (CONFIG_SECCOMP_FILTER), outside a container that emulates "
      + "the kernel"
    #else
    "start the node outside any other sandbox of the system"
    #endif
  }
}

extension SandboxFacts {
  /// What to do where these protections are missing, each line once.
  public var remedies: [String] {
    var lines: [String] = []
    for fact in facts.sorted() where !lines.contains(fact.remedy) { lines.append(fact.remedy) }
    return lines
  }
}
