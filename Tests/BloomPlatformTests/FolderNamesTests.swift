import BloomPlatform
import BloomTestSupport
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct FolderNamesTests {
  @Test func `all names of a folder are read, and only theirs`() throws {
    let folder = try TemporaryFolder()
    #expect(try FolderNames.all(in: folder.path) == [])
    let files = [".hidden", "a", "b c", "ü"]
    for name in files { try PrivateFile.write([1], to: "\(folder.path)/\(name)") }
    let long = String(repeating: "n", count: 255)
    try PrivateFile.makeFolder("\(folder.path)/\(long)")
    #expect(try Set(FolderNames.all(in: folder.path)) == Set(files + [long]))
    #expect(try FolderNames.visible(in: folder.path) == ["a", "b c", long, "ü"])
    #expect(Set(PrivateFile.names(in: folder.path)) == Set(files))
  }

  @Test func `what is no folder is told by the system's number`() throws {
    let folder = try TemporaryFolder()
    let file = "\(folder.path)/file"
    try PrivateFile.write([1], to: file)
    let missing = #expect(throws: SystemError.self) { try FolderNames.all(in: file + "s") }
    #expect(missing?.code == ENOENT)
    let wrong = #expect(throws: SystemError.self) { try FolderNames.visible(in: file) }
    #expect(wrong?.code == ENOTDIR)
  }
}
