/// Times and sizes of the node link.
///
/// `docs/protocol.md` §7.
package struct LinkLimits: Equatable, Sendable {
  /// How often an agent with open streams gives a sign of life.
  package var pulse = Duration.milliseconds(100)
  /// A working node that is silent for this long is suspect: three pulses lost, one late.
  package var suspectAfter = Duration.milliseconds(350)
  /// A working node that is silent for this long is dead.
  package var deadAfter = Duration.seconds(2)
  /// Without open streams a side that hears nothing for this long gives the link up.
  package var idleAfter = Duration.seconds(30)
  /// How often an idle side asks for a sign of life.
  package var pingEvery = Duration.seconds(10)
  /// From the opening of the connection to the welcome.
  package var handshake = Duration.seconds(10)
  /// When a refused machine may try again: soon, since its owner may be at it.
  package var refusedRetry = Duration.seconds(10)
  /// How long an unconfirmed final receipt waits before it is sent again.
  package var resendAfter = Duration.seconds(5)
  /// Bytes that may be under way on a new stream before any credit, each way.
  package var initialCredit = 262_144
  /// Streams open at once on one link.
  package var streams = 256
  /// Bytes of unfinished requests that an agent holds; beyond, it refuses as busy.
  package var requestBytes = 128 << 20
  /// Bytes of an answer that wait for credit on one stream before the worker is paused.
  package var answerBytes = 1 << 20
  /// Unconfirmed final receipts kept in memory; the agent keeps all of them on disk.
  package var unconfirmed = 4096

  /// The defaults.
  package init() {}
}
