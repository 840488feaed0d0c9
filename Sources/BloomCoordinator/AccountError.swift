internal import BloomBase

/// Why an account, a device or a pool could not be served; the code goes into JSON.
package struct AccountError: PublicError, Equatable {
  /// The kind of failure; its raw value is the reason in JSON.
  package enum Code: String, Sendable {
    /// A field is missing or not what it should be.
    case invalid = "invalid_request"
    /// There is no such thing, or the caller may not know of it.
    case notFound = "not_found"
    /// The caller may not do this.
    case forbidden = "not_allowed"
    /// Something of that name is there, or belongs to somebody else.
    case taken = "conflict"
    /// An invitation or a code is unknown, used up or too old.
    case badCode = "bad_code"
    /// Too many attempts.
    case slowDown = "rate_limited"
    /// A bound on how many there may be is reached.
    case full = "limit_reached"
  }

  /// The kind of failure.
  package let code: Code
  /// What is wrong and what to do.
  package let publicDescription: String

  /// Creates an error.
  package init(_ code: Code, _ publicDescription: String) {
    self.code = code
    self.publicDescription = publicDescription
  }

  /// The HTTP status.
  var status: Int {
    switch code {
    case .invalid, .badCode: 400
    case .forbidden: 403
    case .notFound: 404
    case .taken: 409
    case .slowDown: 429
    case .full: 507
    }
  }

  /// A name as people call things: 1…64 bytes without control characters.
  ///
  /// - Throws: `invalid`.
  static func check(name: String) throws(AccountError) -> String {
    guard (1...64).contains(name.utf8.count),
      name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) })
    else {
      throw AccountError(.invalid, "a name has 1 to 64 bytes and no control characters")
    }
    return name
  }
}
