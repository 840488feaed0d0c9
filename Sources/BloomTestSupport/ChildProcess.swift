#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A process that a test or a benchmark started; it does not outlive a call to ``kill()``.
package struct ChildProcess: Sendable {
  /// Its number.
  package let pid: Int32

  /// Starts a program of this package, which lies beside the caller's own executable.
  ///
  /// - Throws: ``TestSupportError`` when it cannot be started.
  package static func start(
    product name: String, _ arguments: [String], output: String
  ) throws(TestSupportError) -> ChildProcess {
    var folder = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false)
    folder.removeLast()
    let program = (folder.map(String.init) + [name]).joined(separator: "/")
    return try start([program] + arguments, output: output)
  }

  /// Starts a program by its path; both outputs are appended to a file.
  ///
  /// - Throws: ``TestSupportError`` when it cannot be started.
  package static func start(
    _ command: [String], output: String
  ) throws(TestSupportError) -> ChildProcess {
    #if canImport(Glibc)
    var actions = unsafe posix_spawn_file_actions_t()
    #else
    var actions: posix_spawn_file_actions_t?
    #endif
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for descriptor in Int32(1)...2 {
      unsafe posix_spawn_file_actions_addopen(
        &actions, descriptor, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    }
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe command.map { unsafe strdup($0) } + [nil]
    defer { unsafe arguments.forEach { unsafe free($0) } }
    var pid = pid_t()
    let code = unsafe posix_spawn(&pid, command[0], &actions, nil, &arguments, environ)
    guard code == 0 else { throw TestSupportError("cannot start \(command[0]): error \(code)") }
    return ChildProcess(pid: pid)
  }

  /// Runs a command to its end.
  ///
  /// - Returns: Its exit status, or −1 when it could not be started or was killed.
  package static func run(_ command: [String], output: String = "/dev/null") -> Int32 {
    guard let child = try? start(command, output: output) else { return -1 }
    return child.wait()
  }

  /// Waits for its end.
  ///
  /// - Returns: Its exit status, or −1 when a signal ended it.
  @discardableResult
  package func wait() -> Int32 {
    var status: Int32 = 0
    while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return status & 0x7f == 0 ? status >> 8 & 0xff : -1
  }

  /// Ends it at whatever instruction it is (SIGKILL), and waits.
  package func kill() {
    _ = sendSignal(pid, SIGKILL)
    wait()
  }
}

private func sendSignal(_ pid: Int32, _ signal: Int32) -> Int32 { kill(pid, signal) }

/// Why a helper of tests could not do its work.
package struct TestSupportError: Error, Sendable, CustomStringConvertible {
  /// What is wrong and what to do.
  package let description: String

  /// Creates an error.
  package init(_ description: String) { self.description = description }
}
