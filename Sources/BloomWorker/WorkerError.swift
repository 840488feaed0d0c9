internal import BloomBase

/// Why a worker ends or cannot start.
///
/// Holds no content.
package struct WorkerError: PublicError, Equatable {
  /// The closed set of reasons.
  package enum Code: String, Sendable {
    /// The agent sent something that is no command, or out of order.
    case badCommand
    /// The channel to the agent failed; its end is no error.
    case channel
    /// The model's files are not the ones of its manifest.
    case badModel
    /// The engine could not load the model.
    case engine
    /// A protection that is demanded is not in force.
    case unprotected
  }

  /// The reason.
  package let code: Code
  /// What is wrong, in public words.
  package let context: String

  /// Describes a failure.
  package init(_ code: Code, _ context: String) {
    self.code = code
    self.context = context
  }

  /// One sentence for people.
  package var publicDescription: String {
    switch code {
    case .badCommand: "the worker was given a wrong command: \(context)"
    case .channel: "the channel to the agent failed: \(context)"
    case .badModel: "the model files cannot be used: \(context)"
    case .engine: "the model could not be loaded: \(context)"
    case .unprotected: "the worker does not serve unprotected: \(context)"
    }
  }
}
