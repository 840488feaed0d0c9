import BloomBase
import BloomEngine

/// A scripted engine that remembers under which epochs it worked and which it was told to forget.
final class ForgettingEngine: BloomEngine {
  private struct State {
    var epochs: [String] = []
    var forgotten: [String] = []
  }

  private let inner = ScriptedEngine()
  private let state = Locked(State())

  var model: EngineModel { inner.model }
  var identity: EngineIdentity { inner.identity }
  var beat: EngineBeat { inner.beat }
  var epochs: [String] { state.withLock { $0.epochs } }
  var forgotten: [String] { state.withLock { $0.forgotten } }

  func submit(_ request: EngineRequest) throws(EngineError) -> EngineStream {
    state.withLock { $0.epochs.append(request.epoch) }
    return try inner.submit(request)
  }

  func capacity() -> EngineCapacity { inner.capacity() }
  func forget(epoch: String) { state.withLock { $0.forgotten.append(epoch) } }
  func stop() async { await inner.stop() }
}

/// The machine's clocks, with jumps.
final class JumpingTime: TimeSource {
  private let ahead = Locked(Duration.zero)

  func now() -> Instant { SystemTime().now() + ahead.withLock { $0 } }
  func unixTime() -> UnixTime { SystemTime().unixTime() }
  func jump(by duration: Duration) { ahead.withLock { $0 += duration } }
}
