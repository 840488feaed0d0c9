/// What the system refused, by its number in errno(3).
package struct SystemError: Error, Sendable, Equatable {
  /// For example `ENOENT`.
  package let code: Int32

  init(_ code: Int32) { self.code = code }
}
