internal import BloomBase

/// Why a store could not do what it was asked.
package struct StoreError: PublicError, Equatable {
  /// What kind of failure it is.
  package enum Code: Sendable, Equatable {
    /// The database refused this change; others can be written.
    case rejected
    /// The database cannot be reached or written; whether the change was kept is unknown.
    case unavailable
    /// The server did not let this program in.
    case refused
    /// Another process has taken the ledger over.
    case deposed
    /// Written by a newer version of the program, or damaged.
    case unreadable
    /// More changes wait than may; come back later.
    case overloaded
    /// A record was changed by somebody else meanwhile.
    case conflict
    /// The store was closed.
    case closed
  }

  /// What kind of failure it is.
  package let code: Code
  /// Where, in the words of the library; never holds stored values.
  package let context: String

  /// Creates an error.
  package init(_ code: Code, _ context: String) {
    self.code = code
    self.context = context
  }

  /// What is wrong and what to do.
  package var publicDescription: String {
    switch code {
    case .rejected: "the database refused the change (\(context))"
    case .unavailable: "the database is unavailable (\(context)); try again"
    case .refused:
      "the database server refused the connection (\(context)); check user, password and name"
    case .deposed: "another coordinator has taken over this ledger; stop this one"
    case .unreadable: "the database cannot be read (\(context)); verify it or restore a backup"
    case .overloaded: "too many changes wait for the database; try again"
    case .conflict: "the record was changed meanwhile; read it again"
    case .closed: "the store is closed"
    }
  }
}
