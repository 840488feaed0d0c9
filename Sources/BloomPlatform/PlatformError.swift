public import BloomBase

/// What the operating system refused.
public struct PlatformError: PublicError, Equatable {
  /// The kinds of failure, a closed set.
  public enum Code: String, Sendable {
    /// No memory could be locked; usually RLIMIT_MEMLOCK.
    case memoryNotLocked
    /// A hardening step failed, so the process must not hold secrets.
    case hardeningFailed
    /// A protection that is claimed is not in force.
    case protectionMissing
  }

  /// What went wrong.
  public let code: Code
  /// The step or the protection, never user data.
  public let context: String

  /// Describes a failure.
  public init(_ code: Code, _ context: String) {
    self.code = code
    self.context = context
  }

  /// One sentence for people.
  public var publicDescription: String {
    switch code {
    case .memoryNotLocked:
      "memory for secrets cannot be locked (\(context)); raise the locked-memory limit (ulimit -l)"
    case .hardeningFailed: "the system refused a protection: \(context)"
    case .protectionMissing: "a protection is not in force: \(context)"
    }
  }
}
