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

  private static let notLockedStart = "memory for secrets cannot be locked"
  private static let refusedStart = "the system refused a protection: "
  private static let missingStart = "a protection is not in force: "

  /// One sentence for people.
  public var publicDescription: String {
    switch code {
    case .memoryNotLocked:
      "\(Self.notLockedStart) (\(context)); \(SandboxFact.lockedKeys.remedy)"
    case .hardeningFailed: Self.refusedStart + context
    case .protectionMissing: Self.missingStart + context
    }
  }

  /// The error of absent protections: their names, then what to do about each.
  static func missing(_ facts: SandboxFacts) -> PlatformError {
    let names = facts.names.joined(separator: ", ")
    return PlatformError(
      .protectionMissing, ([names] + facts.remedies).joined(separator: "; "))
  }

  /// Whether a public text of this type tells of a step that the system refused; it says what to
  /// do.
  public static func isRefusal(_ text: String) -> Bool { text.hasPrefix(refusedStart) }

  /// The protections whose absence a public text of this type names; none for any other text.
  ///
  /// A worker's last words reach its agent as text alone.
  public static func protections(missingIn text: String) -> SandboxFacts {
    if text.hasPrefix(notLockedStart) { return SandboxFacts([.lockedKeys]) }
    guard text.hasPrefix(missingStart) else { return SandboxFacts() }
    let names = text.dropFirst(missingStart.count).prefix { $0 != ";" }
    return SandboxFacts(
      names: names.split { $0 == "," || $0 == " " }.map(String.init))
  }
}
