internal import BloomBase
internal import BloomModels
internal import BloomNet
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// A node whose worker is `scripted-worker`; everything else is the real agent.
package enum ScriptedNode: Sendable {
  /// Serves until its parent is gone.
  ///
  /// - Parameters:
  ///   - data: The agent's folder.
  ///   - network: The coordinator's notice.
  ///   - cluster: The cluster's folder, with `scripted.manifest` and `scripted.bin`.
  /// - Throws: What the agent throws when it cannot start.
  package static func run(data: String, network: String, cluster: String) async throws {
    ParentWatch.start(ProcessEnvironment.current) { ParentWatch.terminate() }
    guard let notice = try PrivateFile.read(network).map({ try JSONValue(decoding: $0) }),
      let url = notice["url"]?.string,
      let bytes = try PrivateFile.read("\(cluster)/scripted.manifest")
    else { throw UsageError("\(network) is not a coordinator's notice") }
    let manifest = try ModelManifest(decoding: bytes)
    var configuration = NodeService.Configuration(
      dataFolder: data, coordinators: [url],
      models: [try NodeModel(manifest: manifest, paths: ["\(cluster)/scripted.bin"])])
    configuration.apiKey = notice["api_key"]?.string
    configuration.workerPath = "\(ProcessEnvironment.programFolder)/scripted-worker"
    let service = NodeService(
      configuration: configuration, log: Log("node", minimum: .error, sink: StandardErrorLog()))
    try await service.run()
  }
}
