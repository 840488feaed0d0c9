import BloomAPI
import BloomBase
import BloomClient
import Testing

@Suite struct FollowingServiceTests {
  private struct Named: InferenceService {
    let name: String
    func models() async throws -> [ServedModel] {
      throw APIError(status: 500, type: "test", code: name, message: name)
    }
    func begin(_ request: InferenceRequest) async throws -> any RunningAnswer {
      throw APIError(status: 500, type: "test", code: name, message: name)
    }
  }

  private struct Unusable: PublicError {
    let publicDescription = "no such tier"
  }

  private final class Settings: TimeSource {
    let state = Locked((seconds: UInt64(0), text: "first"))
    func now() -> Instant { Instant(nanoseconds: state.withLock { $0.seconds } * 1_000_000_000) }
    func unixTime() -> UnixTime { UnixTime(0) }
    func change(to text: String) {
      state.withLock {
        $0.text = text
        $0.seconds += 1
      }
    }
  }

  private func answering(_ service: FollowingService) async -> String? {
    do {
      _ = try await service.models()
      return nil
    } catch { return (error as? APIError)?.code }
  }

  @Test func `changed settings count for the next request, and unusable ones send nothing`()
    async throws
  {
    let settings = Settings()
    let service = try FollowingService(
      time: settings, stamp: { Array(settings.state.withLock { $0.text }.utf8) }
    ) {
      let text = settings.state.withLock { $0.text }
      guard text != "broken" else { throw Unusable() }
      return Named(name: text)
    }
    #expect(await answering(service) == "first")
    settings.change(to: "second")
    #expect(await answering(service) == "second")
    settings.change(to: "broken")
    #expect(await answering(service) == "settings_unusable")
    #expect(await answering(service) == "settings_unusable")
    settings.change(to: "third")
    #expect(await answering(service) == "third")
    settings.change(to: "broken")
    #expect(throws: Unusable.self) {
      _ = try FollowingService(time: settings, stamp: { [] }) { throw Unusable() }
    }
  }
}
