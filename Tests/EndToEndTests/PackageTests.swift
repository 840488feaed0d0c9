import BloomNet
import BloomPlatform
import BloomTestSupport
import Testing

/// What a Debian package installs works where it lies there, with the programs of this build.
@Suite(.timeLimit(.minutes(2))) struct PackageTests {
  @Test func `installed as a package does it, the programs find each other and their texts`()
    async throws
  {
    let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    let process = try await Subprocess.start(
      .init(
        "/usr/bin/env",
        ["python3", "\(root)/Tests/Packages/run.py", ProcessEnvironment.programFolder]))
    // It prints each fault.
    #expect(try await process.exit() == Subprocess.Exit(code: 0, signal: 0))
  }
}
