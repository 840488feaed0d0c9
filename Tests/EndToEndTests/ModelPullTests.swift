import BloomBase
import BloomHTTP
import BloomModels
import BloomNet
import BloomPlatform
import BloomTestSupport
import BloomTestTraits
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// `darkbloom models` as a user types it, against an HTTPS mirror with a certificate of its own.
@Suite(.ownThread, .serialized, .timeLimit(.minutes(3))) struct ModelPullTests {
  /// A mirror whose folders behave differently, and a home that trusts its certificate or not.
  final class Lab: Sendable {
    let folder: TemporaryFolder
    let manifest: ModelManifest
    let port: Int
    let ranges: Locked<[String]>
    private let running: Task<Void, any Error>

    private init(
      _ folder: TemporaryFolder, _ manifest: ModelManifest, _ port: Int, _ ranges: Locked<[String]>,
      _ running: Task<Void, any Error>
    ) {
      self.folder = folder
      self.manifest = manifest
      self.port = port
      self.ranges = ranges
      self.running = running
    }

    deinit { running.cancel() }

    /// A GGUF file without tensors, of nearly four pieces.
    static let weights: [UInt8] = {
      var bytes = Array("GGUF".utf8)
      func integer(_ value: Int, _ count: Int) {
        for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
      }
      func text(_ text: String) {
        integer(text.utf8.count, 8)
        bytes += Array(text.utf8)
      }
      integer(3, 4)
      integer(0, 8)
      integer(1, 8)
      text("general.architecture")
      integer(8, 4)
      text("llama")
      return bytes + (0..<3_900_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 7) }
    }()

    static func start() async throws -> Lab {
      let folder = try TemporaryFolder("pull")
      try PrivateFile.write(weights, to: "\(folder.path)/tiny.gguf")
      let elsewhere = try ModelStore(root: "\(folder.path)/elsewhere")
      let manifest = try await elsewhere.add("\(folder.path)/tiny.gguf", name: "tiny")
      let identity = try TLSIdentity.selfSigned(names: ["127.0.0.1"])
      guard case .text(let certificate) = identity.certificate else { throw UsageError("no text") }
      try PrivateFile.write(certificate, to: "\(folder.path)/ca.pem")
      let ranges = Locked<[String]>([])
      var router = Router()
      for kind in ["good", "stalls", "wrong"] {
        router.get("/\(kind)/manifests/:id") { _ in .bytes(manifest.encoded) }
        router.get("/\(kind)/:file") { request in
          ranges.withLock { $0.append("\(kind) \(request.headers[.range] ?? "all")") }
          return respond(kind, request)
        }
      }
      router.get("/hostile.gguf") { _ in .bytes(hostile) }
      var configuration = HTTPServer.Configuration(.tcp(host: "127.0.0.1", port: 0))
      configuration.tls = .init(identity: identity)
      let server = HTTPServer(configuration, responder: router)
      let running = Task { try await server.run() }
      let port = try await server.boundAddresses()[0].port ?? 0
      return Lab(folder, manifest, port, ranges, running)
    }

    /// A header that claims more than there is.
    static let hostile = Array("GGUF".utf8) + [3, 0, 0, 0] + Array(repeating: 0xff, count: 64)

    private static func respond(_ kind: String, _ request: Request) -> Response {
      let start =
        Int((request.headers[.range] ?? "bytes=0-").dropFirst(6).prefix { $0 != "-" }) ?? 0
      var body = Array(weights[start...])
      if kind == "wrong" { body[body.count - 1] ^= 1 }
      var headers = HTTPFields()
      let range = "bytes \(start)-\(weights.count - 1)/\(weights.count)"
      if start > 0, let value = try? HTTPFieldValue(range) { headers.add("Content-Range", value) }
      let status: HTTPStatus = start > 0 ? .partialContent : .ok
      guard kind == "stalls" else { return Response(status, headers: headers, body: .bytes(body)) }
      let first = Array(body.prefix(2_500_000))
      return Response(
        status, headers: headers,
        body: .stream { writer in
          try await writer.write(first)
          try await Task.sleep(for: .seconds(120))  // until the client leaves
        })
    }

    func mirror(_ kind: String) -> String { "https://127.0.0.1:\(port)/\(kind)" }

    /// Starts `darkbloom models …`.
    func start(
      _ arguments: [String], trusts: Bool = true, output: String = "/dev/null"
    ) async throws -> Subprocess {
      var options = Subprocess.Options(
        "/bin/sh",
        [
          "-c", "exec \"$0\" models \"$@\" >\"$OUT\" 2>&1",
          "\(ProcessEnvironment.programFolder)/darkbloom",
        ] + arguments)
      options.environment = [
        "HOME=\(folder.path)", "PATH=/usr/bin:/bin", "OUT=\(output)",
        "DARKBLOOM_MODELS=\(folder.path)/models",
        "SSL_CERT_FILE=\(trusts ? "\(folder.path)/ca.pem" : "/dev/null")",
      ]
      return try await Subprocess.start(options)
    }

    /// Runs it to its end; gives the exit code and what it printed.
    func run(_ arguments: String..., trusts: Bool = true) async throws -> (code: Int, text: String)
    {
      let output = "\(folder.path)/out-\(UInt32.random(in: 0...UInt32.max))"
      let process = try await start(arguments, trusts: trusts, output: output)
      let exit = try await process.exit()
      return (exit.code, String(decoding: try PrivateFile.read(output) ?? [], as: UTF8.self))
    }

    func store() throws -> ModelStore { try ModelStore(root: "\(folder.path)/models") }
  }

  @Test func `a pull that was killed goes on by a range, and every byte is checked`() async throws {
    let lab = try await Lab.start()
    let id = lab.manifest.id.digest.hex
    let killed = try await lab.start(["pull", id, "--from", lab.mirror("stalls")])
    let store = try lab.store()
    let file = lab.manifest.files[0]
    while store.presence(of: file) != .partial(byteCount: 2 << 20) {
      try await Task.sleep(for: .milliseconds(20))
    }
    // While it runs, nobody else writes the same file.
    let second = try await lab.run("pull", id, "--from", lab.mirror("good"))
    #expect(second.code == 1)
    #expect(second.text.contains("another pull is fetching tiny.gguf"), "\(second.text)")
    killed.signal(SIGKILL)
    #expect(try await killed.exit().signal == SIGKILL)
    let listed = try await lab.run("list")
    #expect(listed.text.contains("1 unfinished, 2 MiB"), "\(listed.text)")
    let pulled = try await lab.run("pull", id, "--from", lab.mirror("good"), "--json")
    #expect(pulled.code == 0, "\(pulled.text)")
    #expect(pulled.text.contains("\"id\":\"\(id)\""))
    #expect(lab.ranges.withLock { $0 } == ["stalls all", "good bytes=\(2 << 20)-"])
    #expect(try await lab.run("verify", "tiny").code == 0)
    #expect(try await lab.run("list").text.hasPrefix("tiny\t3 MiB"))
    // What is there already is not fetched again.
    #expect(try await lab.run("pull", id, "--from", lab.mirror("good")).code == 0)
    #expect(lab.ranges.withLock { $0.count } == 2)
    #expect(try await lab.run("rm", "tiny").text.contains("3 MiB freed"))
    #expect(try await lab.run("rm", "").code == 2)
    #expect(try await lab.run("list", "--json").text == "[]\n")
  }

  @Test func `a mirror that is false, unknown or empty gives an error and no model`() async throws {
    let lab = try await Lab.start()
    let id = lab.manifest.id.digest.hex
    let wrong = try await lab.run("pull", id, "--from", lab.mirror("wrong"))
    #expect(wrong.code == 1)
    #expect(wrong.text.contains("damaged or was changed: tiny.gguf"), "\(wrong.text)")
    let gone = try await lab.run("pull", id, "--from", lab.mirror("gone"))
    #expect(gone.code == 1)
    #expect(gone.text.contains("no mirror has the manifest"), "\(gone.text)")
    let stranger = try await lab.run("pull", id, "--from", lab.mirror("good"), trusts: false)
    #expect(stranger.code == 1)
    let plain = try await lab.run("pull", id, "--from", "http://example.org")
    #expect(plain.code == 1)
    #expect(try await lab.run("pull", id).code == 2)
    #expect(try await lab.run("pull", "tiny", "--from", lab.mirror("good")).code == 2)
    #expect(try lab.store().list().isEmpty)
    // The next mirror in the list makes up for a false one.
    let both = try await lab.run(
      "pull", id, "--from", lab.mirror("wrong"), "--from", lab.mirror("good"))
    #expect(both.code == 0, "\(both.text)")
  }

  @Test func `a file from a URL must have the digest that was stated, and a usable header`()
    async throws
  {
    let lab = try await Lab.start()
    let digest = lab.manifest.files[0].sha256.hex
    let url = "\(lab.mirror("good"))/tiny.gguf"
    #expect(try await lab.run("pull", url).code == 2)
    let missing = try await lab.run(
      "pull", lab.mirror("nowhere.gguf"), "--sha256", digest)
    #expect(missing.code == 1)
    #expect(missing.text.contains("status 404"), "\(missing.text)")
    let pulled = try await lab.run("pull", url, "--sha256", digest, "--name", "mine")
    #expect(pulled.code == 0, "\(pulled.text)")
    #expect(try lab.store().list().map(\.name) == ["mine"])
    #expect(try await lab.run("verify", "mine").code == 0)
    let folder = lab.folder.path
    try PrivateFile.write(Lab.hostile, to: "\(folder)/hostile.gguf")
    let sum = Shell.run("sha256sum \(folder)/hostile.gguf || shasum -a 256 \(folder)/hostile.gguf")
    let hostile = try await lab.run(
      "pull", lab.mirror("hostile.gguf"), "--sha256", String(sum.prefix(64)))
    #expect(hostile.code == 1)
    #expect(hostile.text.contains("not a usable GGUF file"), "\(hostile.text)")
    #expect(try await lab.run("add", "\(folder)/hostile.gguf").code == 1)
    #expect(try lab.store().list().map(\.name) == ["mine"])
    #expect(Shell.run("ls \(folder)/models/blobs") == "sha256-\(digest)\n", "nothing is left of it")
  }

  @Test func `models of Ollama and llama.cpp are used where they lie`() async throws {
    let lab = try await Lab.start()
    let (home, digest) = (lab.folder.path, lab.manifest.files[0].sha256.hex)
    _ = Shell.run(
      """
      m=\(home)/.ollama/models/manifests/registry.ollama.ai/library/tiny; mkdir -p $m
      mkdir -p \(home)/.ollama/models/blobs \(home)/.cache/llama.cpp
      cp \(home)/tiny.gguf \(home)/.ollama/models/blobs/sha256-\(digest)
      cp \(home)/tiny.gguf \(home)/.cache/llama.cpp/Other.gguf
      echo '{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:\(digest)"}]}' >$m/1b
      """)
    let found = try await lab.run("list", "--found")
    #expect(found.text.contains("ollama:tiny:1b\t"))
    #expect(found.text.contains("llama.cpp:other\t"))
    #expect(try await lab.run("add", "ollama:tiny:1b").code == 0)
    #expect(try await lab.run("add", "llama.cpp:other").code == 0)
    #expect(try await lab.run("verify", "tiny:1b").code == 0)
    #expect(Shell.run("find \(home)/models/blobs -type f").isEmpty, "links, and no copies")
    #expect(try await lab.run("rm", "tiny:1b").code == 0)
    #expect(try await lab.run("rm", "other").code == 0)
    #expect(!Shell.run("ls \(home)/.ollama/models/blobs/sha256-\(digest)").isEmpty)
    #expect(try await lab.run("add", "ollama:absent").code == 1)
  }
}
