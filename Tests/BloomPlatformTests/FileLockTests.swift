import BloomPlatform
import BloomTestSupport
import Testing

@Suite struct FileLockTests {
  @Test func `one holds a file, and whoever lets go of it gives it back`() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/lock"
    #expect(!FileLock.isHeld(path))
    do {
      guard let first = try FileLock(path) else {
        Issue.record("nobody has it")
        return
      }
      #expect(FileLock.isHeld(path))
      let isFree = try FileLock(path) != nil
      #expect(!isFree)
      withExtendedLifetime(first) {}
    }
    #expect(!FileLock.isHeld(path))
    let isFree = try FileLock(path) != nil
    #expect(isFree)
    #expect(throws: FileLock.Failure.self) { _ = try FileLock("\(folder.path)/none/lock") }
  }
}
