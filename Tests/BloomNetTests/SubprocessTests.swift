import BloomBase
import BloomNet
import Testing

@Suite(.timeLimit(.minutes(1))) struct SubprocessTests {
  @Test func `bytes go both ways over descriptor 3 and the exit code is told`() async throws {
    let child = try await Subprocess.start(.init("/bin/sh", ["-c", "head -c 5 <&3 >&3; exit 7"]))
    try await child.send(Array("hello".utf8))
    #expect(try await child.receive() == Array("hello".utf8))
    #expect(try await child.receive() == nil)
    #expect(try await child.exit() == Subprocess.Exit(code: 7, signal: 0))
    #expect(try await child.exit().code == 7)
  }

  @Test func `a killed child ends the channel and tells the signal`() async throws {
    let child = try await Subprocess.start(.init("/bin/sh", ["-c", "exec cat <&3 >&3"]))
    try await child.send(Array("x".utf8))
    #expect(try await child.receive() == Array("x".utf8))
    child.signal(9)
    #expect(try await child.receive() == nil)
    #expect(try await child.exit() == Subprocess.Exit(code: 0, signal: 9))
    await #expect(throws: (any Error).self) {
      while true { try await child.send([UInt8](repeating: 0, count: 65_536)) }
    }
  }

  @Test func `a child sees the end of its channel`() async throws {
    let child = try await Subprocess.start(.init("/bin/sh", ["-c", "cat <&3 >/dev/null; exit 3"]))
    await child.closeChannel()
    #expect(try await child.exit().code == 3)
  }

  @Test func `descriptors, environment and folder are handed over`() async throws {
    let path = "/tmp/bloom-fd-\(UInt32.random(in: 0...UInt32.max))"
    try write(
      TLSIdentity(certificate: .text(Array("inherited".utf8)), key: .text([])), path, path + ".2")
    defer { remove(path, path + ".2") }
    let descriptor = openForReading(path)
    defer { closeDescriptor(descriptor) }
    var options = Subprocess.Options("/bin/sh", ["-c", "{ cat <&4; echo \" $A $PWD\"; } >&3"])
    options.descriptors = [descriptor]
    options.environment = ["A=b", "PATH=/usr/bin:/bin"]
    options.folder = "/"
    let child = try await Subprocess.start(options)
    var all: [UInt8] = []
    while let part = try await child.receive() { all += part }
    #expect(String(decoding: all, as: UTF8.self) == "inherited b /\n")
    #expect(try await child.exit().code == 0)
  }

  @Test func `a missing program is named`() async throws {
    let error = await #expect(throws: NetError.self) {
      try await Subprocess.start(.init("/nowhere/darkbloom-worker"))
    }
    #expect(error?.code == .spawnFailed)
    #expect(error?.publicDescription.contains("darkbloom-worker: it is missing") == true)
  }

  @Test func `waiting for a child can be cancelled`() async throws {
    let child = try await Subprocess.start(.init("/bin/sh", ["-c", "exec cat <&3 >/dev/null"]))
    let waiting = Task { try await child.exit() }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    child.signal(9)
    #expect(try await child.exit().signal == 9)
  }
}
