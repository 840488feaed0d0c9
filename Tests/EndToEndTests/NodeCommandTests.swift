import BloomBase
import BloomModels
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

/// The node's commands as an owner types them, with a service manager that only takes notes.
@Suite(.ownThread) struct NodeCommandTests {
  /// A home of its own, with a network and a model that was never fetched.
  final class Home: Sendable {
    let path: String

    init() throws {
      path = "/tmp/darkbloom-home-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
      try PrivateFile.makeFolder("\(path)/bin")
      try PrivateFile.makeFolder("\(path)/data")
      try PrivateFile.write(
        Array(
          """
          {"url":"http://127.0.0.1:9","origin":"test","log_key":"\(String(repeating: "0", count: 64))",
           "api_key":"k"}
          """.utf8), to: "\(path)/data/network.json")
      let store = try ModelStore(root: "\(path)/models")
      try store.write(
        ModelManifest(
          name: "tiny:1", kind: .chat,
          files: [.init(role: .weights, name: "w.gguf", sha256: .zero, byteCount: 1)], licence: "",
          contextTokens: 1_024, weightBytes: 1 << 20, contextBytesPerToken: 1))
      let script = "#!/bin/sh\necho \"$0 $*\" >> \(path)/calls\n"
      for name in ["systemctl", "journalctl", "launchctl", "tail"] {
        try PrivateFile.write(Array(script.utf8), to: "\(path)/bin/\(name)")
        _ = unsafe chmod("\(path)/bin/\(name)", 0o700)
      }
    }

    deinit { _ = ChildProcess.run(["/bin/rm", "-rf", path]) }

    /// Runs `darkbloom node …`; gives its exit code and what it printed.
    func node(_ arguments: String...) throws -> (code: Int32, text: String) {
      let output = "\(path)/out-\(UInt32.random(in: 0...UInt32.max))"
      let code = ChildProcess.run(
        [
          "/usr/bin/env", "HOME=\(path)", "PATH=\(path)/bin:/usr/bin:/bin",
          "XDG_CONFIG_HOME=\(path)/config", "DARKBLOOM_DATA=\(path)/data",
          "DARKBLOOM_MODELS=\(path)/models", "\(ProcessEnvironment.programFolder)/darkbloom",
          "node",
        ] + arguments, output: output)
      return (code, String(decoding: try PrivateFile.read(output) ?? [], as: UTF8.self))
    }

    func text(_ name: String) throws -> String {
      String(decoding: try PrivateFile.read("\(path)/\(name)") ?? [], as: UTF8.self)
    }
  }

  @Test func `start asks before it installs, and installs what was accepted`() throws {
    let home = try Home()
    let asked = try home.node("start")
    #expect(asked.code == 1)
    for part in ["sealed", "memory", "tiny:1", "--accept", "touch keyboard"] {
      #expect(asked.text.contains(part), "\(part)")
    }
    #expect(try home.text("calls").isEmpty, "nothing is installed before it is accepted")
    #expect(try home.text("config/darkbloom/node.json5").contains("schedule: []"))
    let json = try JSONValue(decoding: Array(try home.node("start", "--json").text.utf8))
    #expect(json["accepted"]?.bool == false && json["contract"]?.string?.contains("memory") == true)
    let started = try home.node("start", "--accept", "--slots", "2")
    #expect(started.code == 0, "\(started.text)")
    #if os(Linux)
    let unit = try home.text("config/systemd/user/darkbloom-node.service")
    #expect(unit.contains("\"node\" \"run\" \"--data\" \"\(home.path)/data\""))
    #expect(unit.contains("\"--slots\" \"2\""))
    let calls = try home.text("calls")
    for call in ["daemon-reload", "enable darkbloom-node", "restart darkbloom-node"] {
      #expect(calls.contains("--user \(call)"), "\(call)")
    }
    #endif
    // Other hours are another agreement.
    _ = try home.node("schedule", "add", "daily", "22:00-06:00")
    #expect(try home.node("start").code == 1)
    let stopped = try home.node("stop", "--json")
    #expect(stopped.code == 0)
    #expect(stopped.text.contains("\"removed_service\":true"))
    #expect(stopped.text.contains("\"was_running\":false"))
    #if os(Linux)
    #expect(try home.text("config/systemd/user/darkbloom-node.service").isEmpty)
    #expect(try home.text("calls").contains("disable --now darkbloom-node"))
    #endif
  }

  @Test func `the hours are shown and changed`() throws {
    let home = try Home()
    #expect(try home.node("schedule").text == "at any hour\n")
    _ = try home.node("schedule", "add", "mon-fri 22:00-07:00")
    let shown = try home.node("schedule", "add", "sat,sun", "00:00-24:00", "--json")
    let windows = try JSONValue(decoding: Array(shown.text.utf8))["windows"]?.items
    #expect(
      windows?.compactMap(\.string) == ["mon,tue,wed,thu,fri 22:00-07:00", "sun,sat 00:00-24:00"])
    #expect(try home.node("schedule", "remove", "daily", "01:00-02:00").code == 2)
    _ = try home.node("schedule", "remove", "sat,sun", "00:00-24:00")
    #expect(try home.node("schedule").text == "mon,tue,wed,thu,fri 22:00-07:00\n")
    #expect(try home.node("schedule", "add", "whenever").code == 2)
    #expect(try home.node("schedule", "clear").text == "at any hour\n")
  }

  @Test func `models, earnings and doctor speak without a running node`() throws {
    let home = try Home()
    let models = try JSONValue(decoding: Array(try home.node("models", "--json").text.utf8))
    #expect(models["models"]?.items?.first?["fits"]?.bool == true)
    #expect(models["machine"]?["memory_megabytes_per_second"]?.integer ?? 0 > 0)
    #expect(try home.node("earnings").text == "nothing yet\n")
    let doctor = try home.node("doctor", "--json")
    #expect(doctor.code == 1)
    let checks = try JSONValue(decoding: Array(doctor.text.utf8))["checks"]?.items ?? []
    let faults = checks.filter { $0["state"]?.string == "fault" }.compactMap { $0["name"]?.string }
    #expect(faults.contains("coordinator") && faults.contains("model tiny:1"))
    #expect(checks.allSatisfy { $0["state"]?.string == "ok" || $0["fix"]?.string != nil })
    #expect(!(try home.node("doctor").text.contains("all good")))
    #expect(try home.node("status").code != 0)
    let status = try home.node("status", "--json")
    #expect(try JSONValue(decoding: Array(status.text.utf8))["running"]?.bool == false)
    #expect(status.code == 1)
    #expect(try home.node("logs", "-n", "5").code == 0)
    #expect(try home.text("calls").contains("5"))
  }

  @Test func `leave with purge leaves nothing of the node, also when nobody can be told`() throws {
    let home = try Home()
    _ = try home.node("doctor")  // makes the identity
    #expect(try home.node("start", "--accept").code == 0)
    #expect(try home.node("leave").code == 1, "nobody can be told")
    let left = try home.node("leave", "--purge", "--json")
    #expect(left.code == 0, "\(left.text)")
    let json = try JSONValue(decoding: Array(left.text.utf8))
    #expect(json["purged"]?.bool == true && json["left"]?.bool == false)
    #expect(json["problem"]?.string?.contains("cannot be reached") == true)
    // This device asks too: its network and account are not the node's.
    #expect(PrivateFile.names(in: "\(home.path)/data") == ["network.json"])
    #expect(PrivateFile.names(in: "\(home.path)/config/darkbloom").isEmpty)
    #expect(PrivateFile.names(in: "\(home.path)/config/systemd/user").isEmpty)
    #expect(try home.node("leave").code == 2)
  }

  @Test func `a mistake in the settings is named before anything starts`() throws {
    let home = try Home()
    try PrivateFile.makeFolder("\(home.path)/config/darkbloom")
    try PrivateFile.write(
      Array("{limits: {wats: 3}}".utf8), to: "\(home.path)/config/darkbloom/node.json5")
    let run = try home.node("run")
    #expect(run.code == 78)
    #expect(run.text.contains("did you mean limits.watts?"))
    #expect(try home.node("doctor").text.contains("limits.watts"))
  }
}
