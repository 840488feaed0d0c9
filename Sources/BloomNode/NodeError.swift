internal import BloomBase

/// What went wrong in a node's agent.
///
/// Texts never hold keys, addresses or content.
package struct NodeError: PublicError, Equatable, CustomStringConvertible {
  /// The kind of failure; callers switch on it.
  package enum Code: Equatable, Sendable {
    /// The settings cannot be used.
    case badConfiguration
    /// Another agent uses the same data folder.
    case alreadyRunning
    /// The identity file is missing a half, readable by others, or not a key.
    case badIdentity
    /// The file system refused.
    case storage
    /// A model's file is missing or cannot be opened.
    case modelMissing
    /// A worker could not be started or broke its protocol.
    case worker
    /// The program's files were replaced: it ends, drained, to be started anew.
    case updated
    /// Nobody answers at the agent's local socket.
    case notRunning
  }

  /// The kind of failure.
  package let code: Code
  /// What is wrong and what to do; safe for logs.
  package let publicDescription: String

  /// Creates an error.
  package init(_ code: Code, _ description: String) {
    self.code = code
    publicDescription = description
  }

  /// The public text.
  package var description: String { publicDescription }
}
