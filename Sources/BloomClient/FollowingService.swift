package import BloomAPI
package import BloomBase

/// The network as the user's settings want it now.
///
/// When the settings change, the next answer begins by the new ones: who says that nothing may leave this
/// device has not to know that a gateway runs. Answers that have begun go on as they began.
package final class FollowingService: InferenceService {
  private struct State: Sendable {
    var stamp: [UInt8]
    var service: Result<any InferenceService, APIError>
    var lookedAt: Instant
  }

  /// Between two looks at the settings.
  private static let pause = Duration.milliseconds(250)
  private let time: any TimeSource
  private let stamp: @Sendable () -> [UInt8]
  private let make: @Sendable () throws -> any InferenceService
  private let state: Locked<State>

  /// Makes the first service.
  ///
  /// - Parameters:
  ///   - time: When to look again.
  ///   - stamp: Bytes that differ when the settings do; a look at small files.
  ///   - make: Makes a service of the settings as they are now.
  /// - Throws: What `make` throws.
  package init(
    time: any TimeSource, stamp: @escaping @Sendable () -> [UInt8],
    make: @escaping @Sendable () throws -> any InferenceService
  ) throws {
    self.time = time
    self.stamp = stamp
    self.make = make
    state = Locked(State(stamp: stamp(), service: .success(try make()), lookedAt: time.now()))
  }

  /// The models that can be asked now.
  package func models() async throws -> [ServedModel] { try await current().models() }

  /// Begins an answer by the settings of this moment.
  package func begin(_ request: InferenceRequest) async throws -> any RunningAnswer {
    try await current().begin(request)
  }

  /// - Throws: ``APIError`` while the settings cannot be used: then nothing leaves.
  private func current() throws -> any InferenceService {
    let now = time.now()
    return try state.withLock { state in
      guard now - state.lookedAt >= Self.pause else { return state.service }
      state.lookedAt = now
      let stamp = stamp()
      guard stamp != state.stamp else { return state.service }
      state.stamp = stamp
      do {
        state.service = .success(try make())
      } catch {
        state.service = .failure(
          APIError(
            status: 503, type: "server_error", code: "settings_unusable",
            message: "Nothing was sent; the changed settings cannot be used: "
              + "\(error.safeDescription)."))
      }
      return state.service
    }.get()
  }
}
