import BloomBase
import BloomClient
import BloomPlatform
import BloomSeal
import BloomTestSupport
import Testing

/// The ends of logs outlive the process, so that a rewritten history is seen after a restart too.
@Suite struct LogMemoryTests {
  private static let key = [UInt8](repeating: 7, count: 32)

  @Test func `the newest end is given back, for each name and key`() throws {
    let folder = try TemporaryFolder()
    let memory = LogMemory(folder: "\(folder.path)/logs")
    #expect(try memory.known("a", key: Self.key) == nil)
    let root = try #require(Digest([UInt8](repeating: 3, count: 32)))
    try memory.keep(KnownLog(size: 4, root: .zero), "a", key: Self.key)
    try memory.keep(KnownLog(size: 9, root: root), "a", key: Self.key)
    try memory.keep(KnownLog(size: 1, root: .zero), "b", key: Self.key)
    let again = LogMemory(folder: "\(folder.path)/logs")
    #expect(try again.known("a", key: Self.key) == KnownLog(size: 9, root: root))
    #expect(try again.known("b", key: Self.key)?.size == 1)
    #expect(try again.known("a", key: [1]) == nil)
  }

  @Test(arguments: ["", "{}", #"{"size":0,"root":"00"}"#, #"{"size":4,"root":"xy"}"#])
  func `a damaged file is an error, not a fresh start`(_ text: String) throws {
    let folder = try TemporaryFolder()
    let memory = LogMemory(folder: folder.path)
    try memory.keep(KnownLog(size: 4, root: .zero), "a", key: Self.key)
    let name = try #require(PrivateFile.names(in: folder.path).first)
    try PrivateFile.write(Array(text.utf8), to: "\(folder.path)/\(name)")
    #expect(throws: LogMemory.Unreadable.self) { try memory.known("a", key: Self.key) }
  }
}
