import BloomBase
import BloomLedger
import BloomStore

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A folder that is removed with its owner.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/bloom-store-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw StoreError(.unavailable, "mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    _ = Child.run(["/bin/rm", "-rf", path])
  }
}

/// A child process that the test started.
struct Child {
  let pid: pid_t

  /// Starts a program of this package, which lies beside the test's own executable.
  static func start(_ name: String, _ arguments: [String], output: String) throws -> Child {
    var folder = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false)
    folder.removeLast()
    let program = (folder.map(String.init) + [name]).joined(separator: "/")
    return try start([program] + arguments, output: output)
  }

  static func start(_ command: [String], output: String) throws -> Child {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(
      &actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    unsafe posix_spawn_file_actions_addopen(
      &actions, 2, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe command.map { unsafe strdup($0) } + [nil]
    defer { unsafe arguments.forEach { unsafe free($0) } }
    var pid = pid_t()
    let code = unsafe posix_spawn(&pid, command[0], &actions, nil, &arguments, environ)
    guard code == 0 else { throw StoreError(.unavailable, "posix_spawn \(command[0]): \(code)") }
    return Child(pid: pid)
  }

  /// Runs a command to its end; its exit status.
  static func run(_ command: [String], output: String = "/dev/null") -> Int32 {
    guard let child = try? start(command, output: output) else { return -1 }
    var status: Int32 = 0
    unsafe waitpid(child.pid, &status, 0)
    return status
  }

  func kill() {
    _ = sendKill(pid)
    var status: Int32 = 0
    unsafe waitpid(pid, &status, 0)
  }
}

func readLines(_ path: String) -> [Substring] {
  guard let file = unsafe fopen(path, "r") else { return [] }
  defer { unsafe fclose(file) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65536)
  while true {
    let count = unsafe fread(&chunk, 1, chunk.count, file)
    guard count > 0 else { break }
    bytes += chunk[..<count]
  }
  return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
}

/// A clock that tests move.
final class TestClock: TimeSource {
  private let seconds = Locked(Int64(1_800_000_000))
  func now() -> Instant { Instant(nanoseconds: UInt64(unixTime().seconds) * 1_000_000_000) }
  func unixTime() -> UnixTime { UnixTime(seconds.withLock { $0 }) }
  func advance(_ count: Int64) { seconds.withLock { $0 += count } }
}

func account(_ name: String) -> AccountID {
  guard let account = AccountID(name) else { fatalError("bad account name \(name)") }
  return account
}

func digest(_ number: UInt64) -> Digest {
  var generator = SeededGenerator(seed: number)
  guard let digest = Digest((0..<4).flatMap { _ in KeyID(generator.next()).bytes }) else {
    fatalError("32 bytes are a digest")
  }
  return digest
}

func answer(_ number: UInt64) -> AnswerID {
  var generator = SeededGenerator(seed: number)
  return AnswerID(using: &generator)
}

private func sendKill(_ pid: pid_t) -> Int32 { kill(pid, SIGKILL) }
