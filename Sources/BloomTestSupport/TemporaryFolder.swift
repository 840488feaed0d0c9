#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A folder that is removed with its owner.
package final class TemporaryFolder: Sendable {
  /// Where it is.
  package let path: String

  /// Makes a folder in `/tmp`.
  ///
  /// - Throws: ``TestSupportError`` when it cannot be made.
  package init(_ name: String = "test") throws(TestSupportError) {
    var template = Array("/tmp/bloom-\(name)-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw TestSupportError("mkdtemp failed") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    _ = ChildProcess.run(["/bin/rm", "-rf", path])
  }
}
