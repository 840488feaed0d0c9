/// One protection of a process, by the name that key statements carry.
public enum SandboxFact: String, CaseIterable, Comparable, Sendable {
  /// No core dump can be written.
  case noCoreDumps = "no-core-dumps"
  /// The same user cannot trace the process or read its memory.
  case notTraceable = "not-traceable"
  /// A guard process holds the tracer's place, so root cannot attach either.
  case guarded = "guarded"
  /// No program it runs can gain privileges.
  case noNewPrivileges = "no-new-privileges"
  /// It holds no capability.
  case noCapabilities = "no-capabilities"
  /// It sees no network interface: an empty network namespace.
  case emptyNetwork = "empty-network"
  /// The file system is closed by Landlock or the system's sandbox.
  case fileSystemClosed = "file-system-closed"
  /// Opening a socket was tried and refused.
  case noNetwork = "no-network"
  /// Opening a file was tried and refused.
  case noFiles = "no-files"
  /// Forking and running a program were tried and refused.
  case noProcesses = "no-processes"
  /// Tracing and reading other processes, signalling the parent and io_uring were tried and refused.
  case noInspection = "no-inspection"
  /// Making memory executable was tried and refused.
  case noNewCode = "no-new-code"
  /// Keys lie in memory that is locked and left out of dumps.
  case lockedKeys = "locked-keys"
  /// Keys lie in memory that the kernel itself cannot read (memfd_secret).
  case secretKeys = "secret-keys"
  /// Device drivers stay reachable by ioctl(2): the graphics driver is inside the trusted base.
  case deviceControl = "device-control"

  /// Orders facts by name, as they are encoded.
  public static func < (a: SandboxFact, b: SandboxFact) -> Bool { a.rawValue < b.rawValue }
}

/// The protections in force in a process, found by trying where that is possible.
public struct SandboxFacts: Equatable, Sendable {
  /// What is in force.
  public var facts: Set<SandboxFact>

  /// Creates a set.
  public init(_ facts: Set<SandboxFact> = []) { self.facts = facts }

  /// The names in ascending order, as key statements carry them.
  public var names: [String] { facts.map(\.rawValue).sorted() }

  /// Reads names; those of a newer version are left out.
  public init(names: some Sequence<String>) {
    facts = Set(names.compactMap(SandboxFact.init(rawValue:)))
  }

  /// What a worker must have before it makes keys, on this system.
  public static let requiredOfWorker: Set<SandboxFact> = {
    #if os(Linux)
    [
      .noCoreDumps, .notTraceable, .noNewPrivileges, .noNetwork, .noFiles, .noProcesses,
      .noInspection, .noNewCode,
    ]
    #else
    [.noCoreDumps, .notTraceable, .noNetwork, .noFiles, .noProcesses]
    #endif
  }()
}
