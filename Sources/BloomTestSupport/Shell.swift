#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Runs scripts beside the built programs, for tests that need other processes.
package enum Shell: Sendable {
  /// The folder of the built programs: the test runner lies in it.
  package static var products: String {
    let runner = CommandLine.arguments.first ?? ""
    return runner.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/")
  }

  /// A copy of the probe that every user may run; made once, the system cleans it up.
  package static let probe: String = copy(of: "hardening-probe")

  /// A copy of a program of this package, without its symbols for debuggers, that every user may
  /// run: also when this checkout lies in a private folder or in one with a space in its name.
  package static func copy(of program: String) -> String {
    let folder = run("mktemp -d /tmp/darkbloom-test-XXXXXX").split(separator: "\n").first ?? ""
    _ = run(
      "chmod 755 \(folder) && cp \"\(products)/\(program)\" \(folder)/\(program)"
        + " && chmod 755 \(folder)/\(program) && strip -g \(folder)/\(program)")
    return "\(folder)/\(program)"
  }

  /// Words that run a command as an ordinary user; empty when the tests already do.
  package static var asUser: String {
    geteuid() == 0 ? "setpriv --reuid 65534 --regid 65534 --clear-groups " : ""
  }

  /// Whether a program is installed.
  package static func has(_ program: String) -> Bool {
    !run("command -v \(program)").isEmpty
  }

  /// Whether a process that dies of a signal leaves its core in its own folder.
  ///
  /// Elsewhere the kernel hands it to a program, core(5).
  package static var leavesCores: Bool {
    run("cat /proc/sys/kernel/core_pattern").hasPrefix("core")
  }

  /// The output of a bash script; a script that hangs is ended after 30 s.
  package static func run(_ script: String) -> String {
    let quoted = script.split(separator: "'", omittingEmptySubsequences: false)
      .joined(separator: "'\\''")
    guard let pipe = unsafe popen("timeout 30 bash -c '\(quoted)' 2>&1", "r") else { return "" }
    defer { unsafe pclose(pipe) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, pipe)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes.append(contentsOf: chunk[..<count])
    }
  }
}
