#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Runs scripts beside the built programs, for tests that need other processes.
enum Shell {
  /// The folder of the built programs: the test runner lies in it.
  static var products: String {
    let runner = CommandLine.arguments.first ?? ""
    return runner.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/")
  }

  /// A copy of the probe that every user may run.
  ///
  /// Also when this checkout lies in a private folder
  /// or in one with a space in its name. Made once; the system cleans it up.
  static let probe: String = {
    let folder = run("mktemp -d /tmp/darkbloom-probe-XXXXXX").split(separator: "\n").first ?? ""
    _ = run(
      "chmod 755 \(folder) && cp \"\(products)/hardening-probe\" \(folder)/hardening-probe"
        + " && chmod 755 \(folder)/hardening-probe")
    return "\(folder)/hardening-probe"
  }()

  /// Words that run a command as an ordinary user; empty when the tests already do.
  static var asUser: String {
    geteuid() == 0 ? "setpriv --reuid 65534 --regid 65534 --clear-groups " : ""
  }

  /// Whether a program is installed.
  static func has(_ program: String) -> Bool {
    !run("command -v \(program)").isEmpty
  }

  /// The output of a bash script; a script that hangs is ended after 30 s.
  static func run(_ script: String) -> String {
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
