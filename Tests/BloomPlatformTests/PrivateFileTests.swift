import BloomPlatform
import BloomTestSupport
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct PrivateFileTests {
  @Test func `a file is replaced whole, is its owner's alone, and leaves nothing beside it`() throws
  {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/file"
    for bytes: [UInt8] in [[1, 2, 3], [], [4]] {
      try PrivateFile.write(bytes, to: path)
      #expect(try PrivateFile.read(path) == bytes)
    }
    var facts = stat()
    #expect(unsafe stat(path, &facts) == 0 && facts.st_mode & 0o777 == 0o600)
    #expect(PrivateFile.names(in: folder.path) == ["file"])
  }

  @Test func `what cannot be written is named, and leaves nothing behind`() throws {
    let folder = try TemporaryFolder()
    let missing = "\(folder.path)/none/file"
    let error = #expect(throws: PrivateFile.Failure.self) {
      try PrivateFile.write([1], to: missing)
    }
    #expect(error?.description.hasPrefix("\(missing): ") == true)
    #expect(error?.description.hasSuffix("; make the folder, or choose another") == true)
    // rename(2) puts no file in the place of a folder.
    let taken = "\(folder.path)/taken"
    try PrivateFile.makeFolder(taken)
    #expect(throws: PrivateFile.Failure.self) { try PrivateFile.write([1], to: taken) }
    #expect(PrivateFile.names(in: folder.path) == [])
  }

  @Test func `a file is read whole or refused, never cut`() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/file"
    let bytes = (0..<40_000).map { UInt8(truncatingIfNeeded: $0) }
    try PrivateFile.write(bytes, to: path)
    #expect(try PrivateFile.read(path, limitBytes: 40_000) == bytes)
    let error = #expect(throws: PrivateFile.Failure.self) {
      try PrivateFile.read(path, limitBytes: 39_999)
    }
    #expect(error?.description == "\(path) is longer than 39999 bytes")
    #expect(try PrivateFile.read(path + "s") == nil)
    #expect(SmallFile.read(path, limitBytes: 39_999) == nil)
    #expect(SmallFile.read(path + "s", limitBytes: 1) == nil)
    let refused = #expect(throws: SystemError.self) {
      try SmallFile.bytes(path, limitBytes: 39_999)
    }
    #expect(refused?.code == EFBIG)
  }
}
