package import BloomAPI
internal import BloomBase

/// The network as the user's settings want it now.
///
/// When the settings change, the next answer begins by the new ones: who says that nothing may
/// leave this device need not know that a gateway runs. Answers that have begun go on as they
/// began.
package final class FollowingService: InferenceService {
  private struct State: Sendable {
    var stamp: [UInt8]
    var service: Result<any InferenceService, APIError>
  }

  private let stamp: @Sendable () -> [UInt8]
  private let make: @Sendable () throws -> any InferenceService
  private let state: Locked<State>

  /// Makes the first service.
  ///
  /// - Parameters:
  ///   - stamp: Bytes that differ when the settings do; asked before each answer, so a look at
  ///     small files at most.
  ///   - make: Makes a service of the settings as they are now.
  /// - Throws: What `make` throws.
  package init(
    stamp: @escaping @Sendable () -> [UInt8],
    make: @escaping @Sendable () throws -> any InferenceService
  ) throws {
    self.stamp = stamp
    self.make = make
    state = Locked(State(stamp: stamp(), service: .success(try make())))
  }

  /// The models that can be asked now.
  package func models() async throws -> [ServedModel] { try await current().models() }

  /// Begins an answer by the settings of this moment.
  package func begin(_ request: InferenceRequest) async throws -> any RunningAnswer {
    try await current().begin(request)
  }

  /// - Throws: ``APIError`` while the settings cannot be used: then nothing leaves.
  private func current() throws -> any InferenceService {
    // Before the service is made: what changes meanwhile is seen by the next look.
    let stamp = stamp()
    if let known = state.withLock({ $0.stamp == stamp ? $0.service : nil }) {
      return try known.get()
    }
    let service: Result<any InferenceService, APIError>
    do {
      service = .success(try make())
    } catch {
      service = .failure(
        APIError(
          status: 503, type: "server_error", code: "settings_unusable",
          message: "Nothing was sent; the changed settings cannot be used: "
            + "\(error.safeDescription)."))
    }
    state.withLock { $0 = State(stamp: stamp, service: service) }
    return try service.get()
  }
}
