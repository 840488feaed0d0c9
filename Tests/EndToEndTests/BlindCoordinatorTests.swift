import BloomNet
import BloomPlatform
import Testing

/// The shipped coordinator holds no code that seals, opens or computes: read from its symbols.
@Suite(.timeLimit(.minutes(2))) struct BlindCoordinatorTests {
  /// Mangled names carry a module's name with its length before it.
  private static let opening = [
    "9BloomSeal", "9BloomOpen", "9BloomHPKE", "11BloomEngine", "16BloomEngineLlama",
    "11BloomWorker", "11BloomClient", "llama_decode",
  ]

  /// Whether a program beside the tests has a symbol with a part; by binutils' nm.
  private static func has(_ program: String, _ part: String) async throws -> Bool {
    let path = "\(ProcessEnvironment.programFolder)/\(program)"
    let script = #"symbols=$(nm "$1") || exit 2; printf '%s' "$symbols" | grep -qF "$2""#
    let process = try await Subprocess.start(.init("/bin/sh", ["-c", script, "sh", path, part]))
    let exit = try await process.exit()
    try #require(exit.code < 2 && exit.signal == 0, "nm cannot read \(path)")
    return exit.code == 0
  }

  @Test func `the coordinator's program has no symbol that could open a message`() async throws {
    #expect(try await Self.has("darkbloom-coordinator", "12BloomRecords"), "the search works")
    for module in Self.opening {
      #expect(try await !Self.has("darkbloom-coordinator", module), "\(module)")
    }
  }

  @Test func `the same search finds them in the worker`() async throws {
    for module in ["9BloomOpen", "9BloomHPKE", "11BloomEngine", "llama_decode"] {
      #expect(try await Self.has("darkbloom-worker", module), "\(module)")
    }
  }
}
