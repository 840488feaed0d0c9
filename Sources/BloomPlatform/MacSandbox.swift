#if os(macOS)
internal import CPlatform

/// The system's sandbox for the worker.
///
/// Not compiled by CI, which runs on Linux.
///
/// `sandbox_init` has been deprecated for years and is still what browsers use: there is no public
/// replacement for a command-line process. It is called from C: Darwin's module may not have its
/// header. Metal needs IOKit user clients and its compiler service.
enum MacSandbox {
  /// The profile, in the sandbox's own language.
  static let profile = """
    (version 1)
    (deny default)
    (deny network*)
    (deny process-fork)
    (deny process-exec*)
    (deny file-write*)
    (allow sysctl-read)
    (allow iokit-open)
    (allow mach-lookup (global-name "com.apple.MTLCompilerService"))
    (allow file-read* (subpath "/System/Library/Extensions") (subpath "/usr/lib"))
    """

  /// Enters the sandbox; it cannot be left.
  static func enter() throws(PlatformError) {
    guard unsafe cplatform_enter_sandbox(profile) == 0 else {
      throw PlatformError(
        .hardeningFailed, "the system sandbox; \(SandboxFact.noFiles.remedy)")
    }
  }
}
#endif
