internal import BloomAPI
internal import BloomBase
internal import BloomClient
internal import BloomNet

/// What every dialect's routes stand on: the service, who asks, and how a stream shows life.
struct GatewayBackend: Sendable {
  let service: any InferenceService
  /// The keys of an organisation; `nil` when the device's own token is the only one.
  let keys: AccessKeys?
  /// The longest silence of a stream; `nil` for any.
  let keepAlive: Duration?

  /// The service as whoever sent a request sees it.
  func service(for request: Request) -> any InferenceService {
    guard let keys, let key = request.values[RequestAccessKey.self] else { return service }
    return KeyedService(service: service, keys: keys, key: key)
  }
}
