import BloomBase
import BloomClient
import BloomCoordinator
import BloomHTTP
import BloomNet
import BloomPlatform
import BloomRecords
import BloomSeal
import BloomWire
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Nothing that arrives sealed is copied into a log, a metric, an error or onto a disk.
///
/// The shipped program relays bodies that are marked where sealed bytes are, with all ways it may
/// go wrong, and then everything that it wrote is searched for the mark.
@Suite(.serialized, .timeLimit(.minutes(2))) struct BlindnessTests {
  private static let mark = "SEALEDMARK"

  /// The envelope with its sealed body overwritten by the mark; its form stays.
  private static func marked(_ envelope: [UInt8]) throws -> [UInt8] {
    let prefix = try #require(try EnvelopePrefix.read(envelope))
    var bytes = envelope
    let pattern = Array(Self.mark.utf8)
    // The first two bytes are the chunk's length, the last 17 the final chunk's.
    let start = prefix.byteCount + 2
    for (index, place) in (start..<bytes.count - 20).enumerated() {
      bytes[place] = pattern[index % pattern.count]
    }
    return bytes
  }

  private struct Program {
    let process: Subprocess
    let folder: String
    let base: String
    let key: String
    let logFile: String

    static func start() async throws -> Program {
      let folder = "/tmp/blindness-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
      try PrivateFile.makeFolder(folder)
      let port = Int.random(in: 30_000..<40_000)
      let logFile = folder + ".log"
      // The shell keeps all that the program prints.
      let script = #"exec "$1" serve --local --data "$2" --listen "127.0.0.1:$3" --log debug"#
      let process = try await Subprocess.start(
        .init(
          "/bin/sh",
          [
            "-c", script + #" >"$4" 2>&1"#, "sh",
            "\(ProcessEnvironment.programFolder)/darkbloom-coordinator", folder, "\(port)", logFile,
          ]))
      for _ in 0..<1_000 {
        try await Task.sleep(for: .milliseconds(10))
        guard let bytes = try PrivateFile.read("\(folder)/local.json"),
          let value = try? JSONValue(decoding: bytes), let key = value["api_key"]?.string
        else { continue }
        return Program(
          process: process, folder: folder, base: "http://127.0.0.1:\(port)", key: key,
          logFile: logFile)
      }
      process.signal(9)
      throw UsageError("the coordinator did not start")
    }

    /// All that it left: its output and every file of its folder.
    func remains() throws -> [(name: String, bytes: [UInt8])] {
      let files = PrivateFile.names(in: folder).map { "\(folder)/\($0)" } + [logFile]
      return try files.map {
        (name: $0, bytes: try PrivateFile.read($0, limitBytes: 1 << 28) ?? [])
      }
    }

    func remove() {
      for name in PrivateFile.names(in: folder) { PrivateFile.remove("\(folder)/\(name)") }
      PrivateFile.remove(logFile)
      _ = unsafe rmdir(folder)
    }
  }

  private static func holds(_ bytes: [UInt8], _ text: String) -> Bool {
    let pattern = Array(text.utf8)
    guard bytes.count >= pattern.count else { return false }
    for start in 0...(bytes.count - pattern.count) where bytes[start] == pattern[0] {
      if bytes[start..<start + pattern.count].elementsEqual(pattern) { return true }
    }
    return false
  }

  @Test func `no sealed byte is left in output, metrics, errors or files`() async throws {
    let program = try await Program.start()
    defer { program.remove() }
    let http = HTTPClient()
    defer { http.close() }
    let client = CoordinatorClient(base: program.base, apiKey: program.key, http: http)
    var heard: [[UInt8]] = []
    // Marks what it answers, and what else it says of the answer, as badly as a node can.
    let behaviours: [FakeNode.Behaviour] = [.echoes(mark: Self.mark), .garbage, .forged]
    for (index, behaviour) in behaviours.enumerated() {
      let machine = try Machine(seed: UInt8(index + 1))
      let node = FakeNode(machine, behaviour)
      let running = Task { try await node.run(http, program.base, key: program.key) }
      defer { running.cancel() }
      let sealed = try Self.seal(to: machine)
      let envelope = behaviour == .echoes(mark: Self.mark) ? try Self.marked(sealed) : sealed
      // Until the node takes work the coordinator refuses: an error too.
      for _ in 0..<200 {
        do {
          let body = try await client.send(envelope)
          for try await _ in body {}
          break
        } catch let refusal as CoordinatorClient.Refusal {
          heard.append(Array(refusal.publicDescription.utf8))
          try await Task.sleep(for: .milliseconds(20))
        }
      }
      // Malformed on purpose: refused with one code.
      for cut in [1, 300] {
        do {
          _ = try await client.send(Array(try Self.marked(sealed).dropLast(cut)))
        } catch let refusal as CoordinatorClient.Refusal {
          heard.append(Array(refusal.publicDescription.utf8))
        }
      }
    }
    for path in ["/metrics", "/v1/network", "/v1/models", "/v1/directory?from=0"] {
      let response = try await http.send(
        try ClientRequest.get(program.base + path), timeout: .seconds(10))
      heard.append(try await response.body.collect(upTo: 1 << 24))
    }
    program.process.signal(15)
    #expect(try await program.process.exit().code == 0)
    let metrics = heard.map { String(decoding: $0, as: UTF8.self) }.joined()
    #expect(metrics.contains("darkbloom_sealed_bytes_total{direction=\"to_gateway\"}"))
    #expect(!metrics.contains("to_gateway\"} 0\n"), "marked bytes were relayed")
    for bytes in heard { #expect(!Self.holds(bytes, Self.mark)) }
    let remains = try program.remains()
    #expect(remains.contains { $0.name.hasSuffix("ledger.sqlite") && $0.bytes.count > 4_096 })
    #expect(remains.contains { $0.name == program.logFile && Self.holds($0.bytes, "stopped") })
    for file in remains {
      #expect(!Self.holds(file.bytes, Self.mark), "\(file.name)")
      #expect(!Self.holds(file.bytes, "secret words"), "\(file.name)")
      if file.name == program.logFile {
        // Where it listens is said once; nobody else's address is.
        let lines = String(decoding: file.bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines.count { $0.contains("127.0.0.1") } <= 1)
      }
    }
  }

  private static func seal(to machine: Machine) throws -> [UInt8] {
    try RequestSealer.seal(
      request(newAnswer()),
      options: SealOptions(
        tokenClass: .upTo256, deadlineMilliseconds: 5_000, padding: .padded),
      contexts: ReadyContexts([machine.target])
    ).envelope
  }
}
