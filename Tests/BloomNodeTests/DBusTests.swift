#if os(Linux)
import BloomBase
import BloomPlatform
import BloomTestSupport
import Glibc
import Testing

@testable import BloomNode

@Suite struct DBusWireTests {
  /// A little-endian reply to call 7 with body `a{sv}`: {"On": <true>, "N": <uint64 5>}.
  static let reply: [UInt8] = {
    let fields: [UInt8] = [
      5, 1, 0x75, 0, 7, 0, 0, 0,  // reply serial
      8, 1, 0x67, 0, 5, 0x61, 0x7b, 0x73, 0x76, 0x7d, 0,  // signature a{sv}
    ]
    let body: [UInt8] = [
      40, 0, 0, 0, 0, 0, 0, 0,
      2, 0, 0, 0, 0x4f, 0x6e, 0, 1, 0x62, 0, 0, 0, 1, 0, 0, 0,  // "On", variant b
      1, 0, 0, 0, 0x4e, 0, 1, 0x74, 0, 0, 0, 0, 0, 0, 0, 0,  // "N", variant t
    ]
    let number: [UInt8] = [5, 0, 0, 0, 0, 0, 0, 0]
    var head: [UInt8] = [0x6c, 2, 1, 1, UInt8(body.count + number.count), 0, 0, 0, 1, 0, 0, 0]
    head += [UInt8(fields.count), 0, 0, 0]
    let padding = [UInt8](repeating: 0, count: (8 - (16 + fields.count) % 8) % 8)
    return head + fields + padding + body + number
  }()

  @Test func `a dictionary of variants is read`() throws {
    let reply = Self.reply
    #expect(
      DBusWire.restByteCount(Array(reply.prefix(16))) == reply.count - 16, "\(reply.count)")
    let message = try #require(DBusWire.message(reply))
    #expect(message.kind == 2 && message.replySerial == 7)
  }

  @Test func `no cut and no change of a byte traps`() {
    for end in Self.reply.indices { _ = DBusWire.message(Array(Self.reply.prefix(end))) }
    for index in Self.reply.indices {
      for value: UInt8 in [0, 1, 0x28, 0x61, 0x7f, 0xff] {
        var changed = Self.reply
        changed[index] = value
        _ = DBusWire.message(changed)
        _ = DBusWire.restByteCount(Array(changed.prefix(16)))
      }
    }
  }

  @Test(arguments: [
    ("sa{sv}(ii)", ["s", "a{sv}", "(ii)"] as [String]?), ("", []), ("a", nil), ("(s", nil),
    (")", nil),
    ("()", nil),
  ])
  func `signatures are cut into types`(_ text: String, _ types: [String]?) {
    #expect(DBusReader.types(text) == types)
  }

  @Test func `deep nesting is refused`() {
    #expect(DBusReader.types(String(repeating: "a", count: 200) + "y") == nil)
    var reader = DBusReader([UInt8](repeating: 0, count: 64), isLittle: true, offset: 0)
    let deep = String(repeating: "(", count: 40) + "y" + String(repeating: ")", count: 40)
    let value = reader.value(deep)
    #expect(value == nil)
  }

  @Test func `an address names a file or an abstract socket`() {
    #expect(DBusConnection(address: "unix:path=/x,guid=1") != nil)
    #expect(DBusConnection(address: "unix:abstract=/x;tcp:host=a") != nil)
    #expect(DBusConnection(address: "tcp:host=a") == nil)
    #expect(DBusConnection(address: "") == nil)
  }
}

@Suite struct DesktopSessionTests {
  static func session(_ pairs: KeyValuePairs<String, DBusValue>) -> DesktopSession? {
    DesktopSession(
      path: "/s",
      properties: .array(pairs.map { .structure([.string($0.key), .variant($0.value)]) }))
  }

  @Test func `on Wayland the desktop's hint counts, elsewhere others know better`() {
    let now = UnixTime(1_000)
    let busy = Self.session(["Type": .string("wayland"), "Active": .bool(true)])
    #expect(busy?.idle(now: now, seenSince: nil) == .zero)
    let idle = Self.session([
      "Type": .string("wayland"), "Active": .bool(true), "IdleHint": .bool(true),
      "IdleSinceHint": .unsigned(400_000_000),
    ])
    #expect(idle?.idle(now: now, seenSince: UnixTime(990)) == .seconds(600))
    let future = Self.session([
      "Type": .string("wayland"), "Active": .bool(true), "IdleHint": .bool(true),
      "IdleSinceHint": .unsigned(.max),
    ])
    #expect(future?.idle(now: now, seenSince: nil) == .zero, "a clock that jumped is no proof")
    let other = Self.session(["Type": .string("x11"), "Active": .bool(true)])
    #expect(other?.idle(now: now, seenSince: nil) == nil)
    let locked = Self.session([
      "Type": .string("wayland"), "Active": .bool(true), "LockedHint": .bool(true),
      "IdleSinceHint": .unsigned(0),
    ])
    #expect(locked?.idle(now: now, seenSince: nil) == .zero, "nobody is idle since 1970")
    #expect(locked?.idle(now: now, seenSince: UnixTime(990)) == .seconds(10))
    #expect(Self.session(["Class": .string("greeter")]) == nil)
  }
}

/// A bus of its own with a scripted logind, NetworkManager and GNOME, spoken to over the real
/// protocol.
@Suite(.serialized) struct DesktopBusTests {
  /// The bus and its services; gone with the last reference.
  final class Bus: Sendable {
    let folder: TemporaryFolder
    let processes: [ChildProcess]
    let environment: [String: String]

    init() async throws {
      folder = try TemporaryFolder()
      let path = "\(folder.path)/bus"
      let configuration = """
        <busconfig><type>system</type><listen>unix:path=\(path)</listen><auth>EXTERNAL</auth>
        <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
        <allow own="*"/><allow user="*"/></policy></busconfig>
        """
      try StateFolder(existing: folder.path).write("bus.conf", Array(configuration.utf8))
      let daemon = try ChildProcess.start(
        ["/usr/bin/dbus-daemon", "--nofork", "--config-file=\(folder.path)/bus.conf"],
        output: "\(folder.path)/log")
      let python =
        ProcessEnvironment.current["DARKBLOOM_TEST_PYTHON"]
        ?? "\(Self.root)/.build/test-python/bin/python"
      try await Self.wait(for: path)
      let mock = try ChildProcess.start(
        [python, "\(Self.root)/Tests/Peers/desktop_bus.py", "unix:path=\(path)", folder.path],
        output: "\(folder.path)/log")
      processes = [mock, daemon]
      environment = [
        "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=\(path)",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=\(path)",
      ]
      try await Self.wait(for: "\(folder.path)/ready")
    }

    deinit { for process in processes { process.kill() } }

    static var root: String {
      #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    }

    static func wait(for path: String) async throws {
      for _ in 0..<400 {
        if unsafe access(path, F_OK) == 0 { return }
        try await Task.sleep(for: .milliseconds(25))
      }
      throw NodeError(.storage, "the test's bus did not start; run scripts/deps-test")
    }

    /// Sets a property of the scripted services and waits until it holds.
    func set(_ name: String, _ value: String) async throws {
      unsafe unlink("\(folder.path)/done")
      try StateFolder(existing: folder.path).write("set", Array("\(name) \(value)".utf8))
      try await Self.wait(for: "\(folder.path)/done")
    }
  }

  @Test func `lock, idle hints, metered networks and sleep inhibitors are seen`() async throws {
    let bus = try await Bus()
    let desktop = DesktopSessions(environment: bus.environment)
    let now = UnixTime(2_000)
    #expect(desktop.refresh() == false)
    #expect(desktop.idle(now: now) == nil, "an X session answers itself")
    try await bus.set("LockedHint", "1")
    #expect(desktop.refresh() == true)
    #expect(desktop.isMetered() == false)
    try await bus.set("Metered", "1")
    #expect(desktop.isMetered() == true)

    try await bus.set("LockedHint", "0")
    try await bus.set("Type", "wayland")
    _ = desktop.refresh()
    #expect(desktop.idle(now: now) == .zero, "somebody may be there")
    try await bus.set("LockedHint", "1")
    #expect(desktop.idle(now: now) == .zero, "locked just now, as far as is known")
    #expect(desktop.idle(now: UnixTime(2_020)) == .seconds(20))
    try await bus.set("LockedHint", "0")
    #expect(desktop.idle(now: UnixTime(2_020)) == .zero)
    try await bus.set("IdleSinceHint", "1700000000")
    try await bus.set("IdleHint", "1")
    #expect(desktop.idle(now: now) == .seconds(300))
    try await bus.set("Idletime", "1234")
    #expect(desktop.idle(now: now) == .milliseconds(1_234), "GNOME's own counter is exact")

    let file = try #require(desktop.inhibitSleep())
    try await Bus.wait(for: "\(bus.folder.path)/inhibited")
    close(file)
    try await Bus.wait(for: "\(bus.folder.path)/released")
  }

  @Test func `a bus that goes away is no answer, and none is waited for`() async throws {
    var bus: Bus? = try await Bus()
    let desktop = DesktopSessions(environment: bus?.environment ?? [:])
    #expect(desktop.refresh() == false)
    bus = nil
    #expect(desktop.refresh() == nil)
    #expect(desktop.isMetered() == nil)
    #expect(DesktopSessions(environment: [:]).idle(now: UnixTime(1)) == nil)
  }
}

/// The real X server without a screen, and real input.
@Suite(.serialized) struct X11IdleTests {
  @Test func `a move of the mouse is seen at once`() async throws {
    let folder = try TemporaryFolder()
    // The server takes a free number itself and tells it when it is ready.
    let server = try ChildProcess.start(
      [
        "/usr/bin/Xvfb", "-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0",
        "64x64x8",
      ], output: "\(folder.path)/log")
    var isRunning = true
    defer { if isRunning { server.kill() } }
    let number = try #require(try await Self.displayNumber("\(folder.path)/log"))
    defer {
      for name in [".X11-unix/X\(number)", ".X\(number)-lock"] { unsafe unlink("/tmp/\(name)") }
    }
    let display = try #require(X11Idle(environment: ["DISPLAY": ":\(number)"]))
    let clock = SystemTime()
    // A busy machine may miss an answer's deadline, and the next try is ten seconds later.
    var idle: Duration?
    for _ in 0..<600 where idle ?? .zero < .milliseconds(300) {
      idle = display.idle(now: clock.now())
      try await Task.sleep(for: .milliseconds(50))
    }
    try #require(idle ?? .zero >= .milliseconds(300))
    let asked = clock.now()
    #expect(
      ChildProcess.run(["/usr/bin/env", "DISPLAY=:\(number)", "xdotool", "mousemove", "5", "7"])
        == 0)
    idle = nil
    for _ in 0..<600 where idle == nil {
      idle = display.idle(now: clock.now())
      if idle == nil { try await Task.sleep(for: .milliseconds(50)) }
    }
    // However late the answer is read: the last input is younger than the question.
    let silence = try #require(idle)
    #expect(clock.now() - asked + .milliseconds(2) > silence)
    server.kill()
    isRunning = false
    #expect(display.idle(now: clock.now()) == nil, "a server that is gone ends nothing")
    #expect(X11Idle(environment: [:]) == nil)
  }

  /// The number that a server prints once it listens.
  private static func displayNumber(_ path: String) async throws -> Int32? {
    let folder = StateFolder(existing: String(path.dropLast("/log".count)))
    for _ in 0..<1_200 {
      let text = String(decoding: try folder.read("log") ?? [], as: UTF8.self)
      if let line = text.split(separator: "\n").lazy.compactMap({ Int32($0) }).first,
        text.contains("\(line)\n")
      {
        return line
      }
      try await Task.sleep(for: .milliseconds(25))
    }
    return nil
  }
}

/// A library with the functions of NVIDIA's and figures of the test's own.
@Suite struct NvidiaManagementTests {
  static let source = """
    #include <string.h>
    typedef unsigned int u; typedef unsigned long long ull;
    struct sample { u pid; ull time; u sm, mem, enc, dec; };
    int nvmlInit_v2(void) { return 0; }
    int nvmlDeviceGetCount_v2(u *n) { *n = 2; return 0; }
    int nvmlDeviceGetHandleByIndex_v2(u i, void **d) { *d = (void *)(long)(i + 1); return 0; }
    int nvmlDeviceGetName(void *d, char *t, u n) { strncpy(t, d == (void *)1 ? "One" : "Two", n); return 0; }
    int nvmlDeviceGetMemoryInfo(void *d, ull *m) { m[0] = 100; m[1] = 60; m[2] = 40; return 0; }
    int nvmlDeviceGetMemoryBusWidth(void *d, u *w) { *w = 256; return 0; }
    int nvmlDeviceGetMaxClockInfo(void *d, u kind, u *c) { *c = kind == 2 ? 1000 : 1; return 0; }
    int nvmlDeviceGetPowerUsage(void *d, u *p) { if (d == (void *)2) return 3; *p = 70500; return 0; }
    int nvmlDeviceGetProcessUtilization(void *d, struct sample *s, u *n, ull since) {
      if (d == (void *)2) return 6;
      if (since >= 300) { *n = 0; return 6; }
      s[0] = (struct sample){41, 100, 90, 0, 0, 0};
      s[1] = (struct sample){42, 200, 30, 0, 0, 0};
      s[2] = (struct sample){43, 300, 5, 0, 0, 0};
      *n = 3; return 0;
    }
    """

  @Test func `memory, power and others' time are read through the library`() throws {
    let folder = try TemporaryFolder()
    try StateFolder(existing: folder.path).write("n.c", Array(Self.source.utf8))
    let library = "\(folder.path)/n.so"
    try #require(
      ChildProcess.run(
        ["/usr/bin/env", "cc", "-shared", "-fPIC", "-o", library, "\(folder.path)/n.c"]) == 0)
    let graphics = try #require(NvidiaManagement(path: library))
    let devices = graphics.read()
    #expect(devices.map(\.name) == ["One", "Two"])
    #expect(devices[0].memoryBytes == 100 && devices[0].freeBytes == 60)
    #expect(devices[0].bytesPerSecond == 64e9)
    #expect(devices.map(\.milliwatts) == [70_500, nil])
    // 41 is ours; 42 and 43 are others.
    #expect(graphics.othersPermille(own: [41]) == 350)
    #expect(graphics.othersPermille(own: [41]) == 0, "nothing new since")
  }

  @Test func `a machine without the library has no devices`() {
    #expect(NvidiaManagement(path: "/nowhere/lib.so") == nil)
  }
}
#endif
