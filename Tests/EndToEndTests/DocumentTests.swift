import BloomPlatform
import BloomTestSupport
import Testing

/// README and docs do what they say: their commands are executed, and those they name exist.
@Suite(.timeLimit(.minutes(5))) struct DocumentTests {
  @Test func `what the documents tell people to type works`() async throws {
    let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    let process = try await Subprocess.start(
      .init(
        "/usr/bin/env",
        ["python3", "\(root)/Tests/Documents/run.py", ProcessEnvironment.programFolder]))
    // It prints each fault with its document and line.
    #expect(try await process.exit() == Subprocess.Exit(code: 0, signal: 0))
  }
}
