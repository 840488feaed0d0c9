import BloomBase
import BloomPlatform
import BloomTestSupport
import BloomTestTraits
import BloomWire
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Commands on a device that has joined nothing, without a network: they help, or say what to do.
@Suite(.ownThread) struct CommandLineTests {
  /// A home without anything in it.
  private final class Home: Sendable {
    let path = "/tmp/darkbloom-cli-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"

    init() throws { try PrivateFile.makeFolder(path) }

    deinit { _ = ChildProcess.run(["/bin/rm", "-rf", path]) }

    func darkbloom(
      _ arguments: [String], environment: [String] = []
    ) throws -> (code: Int32, text: String) {
      let output = "\(path)/out-\(UInt32.random(in: 0...UInt32.max))"
      var words = [
        // Nobody types, also where the tests run at a terminal.
        "/bin/sh", "-c", "exec \"$@\" </dev/null", "sh", "/usr/bin/env", "-i", "HOME=\(path)",
        "PATH=/usr/bin:/bin",
      ]
      words += environment
      words.append("\(ProcessEnvironment.programFolder)/darkbloom")
      words += arguments
      let code = ChildProcess.run(words, output: output)
      return (code, String(decoding: try PrivateFile.read(output) ?? [], as: UTF8.self))
    }
  }

  @Test func `every command has help with an example`() throws {
    let home = try Home()
    var open: [[String]] = [[]]
    var count = 0
    while let path = open.popLast() {
      let help = try home.darkbloom(path + ["--help"])
      #expect(help.code == 0)
      let lines = help.text.split(separator: "\n", omittingEmptySubsequences: false)
      guard let start = lines.firstIndex(of: "commands:") else {
        #expect(lines.contains("examples:"), "\(path.joined(separator: " ")) has no example")
        count += 1
        continue
      }
      open += lines[(start + 1)...].prefix { !$0.isEmpty }.compactMap { line in
        line.split(separator: " ").first.map { path + [String($0)] }
      }
    }
    #expect(count > 40)
  }

  @Test(arguments: ["list", "list --json", "verify"])
  func `a damaged receipt is named, and the command goes on to the next`(_ words: String) throws {
    let home = try Home()
    let data = "\(home.path)/data"
    try PrivateFile.makeFolder("\(data)/receipts")
    for name in ["a-0", "b-0"] {
      try PrivateFile.write([1, 2, 3], to: "\(data)/receipts/\(name).receipt")
    }
    let outcome = try home.darkbloom(
      ["receipts"] + words.split(separator: " ").map(String.init) + ["--data", data])
    #expect(outcome.code == 1)
    #expect(outcome.text.contains("a-0.receipt") && outcome.text.contains("b-0.receipt"))
  }

  @Test(arguments: ["ask hi", "chat", "wiretap --last", "models list --bad", "netcheck"])
  func `what needs a gateway or a network says how to get one`(_ line: String) throws {
    let home = try Home()
    let outcome = try home.darkbloom(line.split(separator: " ").map(String.init))
    switch line {
    case "models list --bad": #expect(outcome.code == 2 && outcome.text.contains("--help"))
    case "netcheck": #expect(outcome.code == 69 && outcome.text.contains("darkbloom join LINK"))
    default:
      #expect(outcome.code == 69 && outcome.text.contains("start one: darkbloom gateway"))
      #expect(outcome.text.contains("DARKBLOOM_GATEWAY_PORT"))
    }
    #expect(!outcome.text.contains("No such file"))
  }

  @Test(arguments: ["join", "login", "netcheck"])
  func `a coordinator is asked through the environment's proxy`(_ command: String) throws {
    let home = try Home()
    let data = "\(home.path)/data"
    try PrivateFile.makeFolder(data)
    // RFC 8032 §7.1, test 1; the name is nobody's, and nobody listens at the proxy.
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    let url = "https://bloom.invalid"
    var arguments = [command, "--data", data]
    if command == "join" {
      let logKey = try #require(Hex.decode(key))
      arguments.append(NetworkLink(url: url, origin: "bloom", logKey: logKey).text)
    } else {
      let network = JSONValue.members([
        "url": .string(url), "origin": .string("bloom"), "log_key": .string(key),
      ])
      try PrivateFile.write(network.encoded, to: "\(data)/network.json")
    }
    let outcome = try home.darkbloom(
      arguments, environment: ["HTTPS_PROXY=http://127.0.0.1:1"])
    #expect(outcome.code != 0 && outcome.text.contains("connection refused"), "\(outcome.text)")
  }

  @Test func `a machine is paired by its code, listed and forgotten`() throws {
    let home = try Home()
    let shown = try JSONValue(
      decoding: Array(try home.darkbloom(["node", "code", "--json"]).text.utf8))
    let code = try #require(shown["code"]?.string)
    let machine = try #require(shown["machine"]?.string)
    let link = try #require(shown["link"]?.string)
    let plain = try home.darkbloom(["node", "code"])
    #expect(plain.code == 0 && plain.text.contains("darkbloom pair \(code)"))
    #expect(!plain.text.contains("\u{1b}"), "a file gets no picture")

    #expect(try home.darkbloom(["pair"]).code == 2)
    var wrong = code
    wrong.removeLast()
    #expect(try home.darkbloom(["pair", wrong]).code == 2)
    #expect(try home.darkbloom(["pair", "--list"]).text.contains("darkbloom node code"))
    let paired = try home.darkbloom(["pair"] + code.split(separator: "-").map(String.init))
    #expect(paired.code == 0 && paired.text.contains(machine.prefix(8)), "\(paired.text)")
    let policy = try JSONValue(
      decoding: Array(try home.darkbloom(["policy", "show", "--json"]).text.utf8))
    #expect(policy["paired"]?.string == machine)
    let list = try JSONValue(
      decoding: Array(try home.darkbloom(["pair", "--list", "--json"]).text.utf8))
    #expect(list.items?.first?["code"]?.string == code)
    #expect(try home.darkbloom(["pair", "--remove", link]).code == 0)
    #expect(try home.darkbloom(["pair", "--remove", code]).code == 2)
    #expect(try home.darkbloom(["policy", "show"]).text.contains("paired     none"))
  }

  @Test func `a port that is taken is named with its holder before anything starts`() throws {
    let home = try Home()
    #if canImport(Glibc)
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
    let descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    defer { close(descriptor) }
    // The command must not hold it too.
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, size) == 0 && listen(descriptor, 4) == 0
          && getsockname(descriptor, $0, &size) == 0
      }
    }
    try #require(isBound)
    let port = UInt16(bigEndian: address.sin_port)
    let outcome = try home.darkbloom(["up", "--port", "\(port)"])
    #expect(outcome.code == 2 && outcome.text.contains("port \(port) is in use by"))
    #if os(Linux)
    #expect(outcome.text.contains("(process \(getpid()))"), "\(outcome.text)")
    #endif
  }
}
