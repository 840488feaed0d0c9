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

  private func answering(_ service: FollowingService) async -> String? {
    do {
      _ = try await service.models()
      return nil
    } catch { return (error as? APIError)?.code }
  }

  @Test func `changed settings count for the next request, and unusable ones send nothing`()
    async throws
  {
    let settings = Locked("first")
    let service = try FollowingService(stamp: { Array(settings.withLock { $0 }.utf8) }) {
      let text = settings.withLock { $0 }
      guard text != "broken" else { throw Unusable() }
      return Named(name: text)
    }
    #expect(await answering(service) == "first")
    settings.withLock { $0 = "second" }
    #expect(await answering(service) == "second")
    settings.withLock { $0 = "broken" }
    #expect(await answering(service) == "settings_unusable")
    #expect(await answering(service) == "settings_unusable")
    settings.withLock { $0 = "third" }
    #expect(await answering(service) == "third")
    settings.withLock { $0 = "broken" }
    #expect(throws: Unusable.self) {
      _ = try FollowingService(stamp: { [] }) { throw Unusable() }
    }
  }
}
