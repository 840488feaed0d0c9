import BloomNet
import Testing

/// `make deps` leaves nothing half-made and says what is missing.
@Suite(.timeLimit(.minutes(2))) struct SetupTests {
  @Test func `set-up survives interruptions, company, no network and no rights`() async throws {
    let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    let process = try await Subprocess.start(
      .init("/usr/bin/env", ["python3", "\(root)/Tests/Setup/run.py"]))
    // It prints each fault.
    #expect(try await process.exit() == Subprocess.Exit(code: 0, signal: 0))
  }
}
