internal import BloomBase
internal import BloomCrypto
package import BloomEngine
internal import BloomHPKE
package import BloomModels
internal import BloomPlatform
package import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A worker process from its first line to its last.
///
/// The order is the protection: one message is read, the process is closed off while it has a
/// single thread, the files are checked and loaded, the rest is closed, the protections are tried,
/// and only then keys are made.
package enum WorkerProgram: Sendable {
  /// Loads a model from open files; the engine is whichever the program links.
  package typealias Loader =
    @Sendable (
      _ order: WorkerOrder, _ manifest: ModelManifest,
      _ progress: @escaping @Sendable (Float) -> Bool
    ) async throws(EngineError) -> any BloomEngine

  /// The descriptor on which an agent starts its workers.
  package static let channelDescriptor: Int32 = 3

  /// Runs a worker until its agent closes the channel.
  ///
  /// Must be called in the first lines of `main`, before anything makes a thread.
  ///
  /// - Parameters:
  ///   - descriptor: The agent's channel.
  ///   - load: Makes the engine.
  /// - Returns: The exit code: 0 done, 1 failed, 78 a bad order.
  package static func run(
    descriptor: Int32 = channelDescriptor, load: Loader
  ) async -> Int32 {
    let order: WorkerOrder
    let begun: ProcessHardening.Begun
    do {
      guard case .load(let first)? = try ChannelReader.first(descriptor: descriptor) else {
        throw WorkerError(.badCommand, "the first message must be an order to load")
      }
      order = first
      begun = try ProcessHardening.begin(
        ProcessHardening.Plan(
          keptDescriptors: [descriptor] + first.descriptors,
          readableDescriptors: first.descriptors, startsGuard: first.startsGuard,
          allowsDeviceControl: first.allowsDeviceControl))
    } catch {
      report(error, descriptor)
      return 78
    }
    do {
      try await serve(order, begun, descriptor, load)
      return 0
    } catch {
      report(error, descriptor)
      return 1
    }
  }

  private static func serve(
    _ order: WorkerOrder, _ begun: ProcessHardening.Begun, _ descriptor: Int32, _ load: Loader
  ) async throws {
    let manifest = try await checkedManifest(order)
    guard !order.policy.refuses(model: manifest.name) else {
      throw WorkerError(.badCommand, "the owner of this machine does not serve this model")
    }
    let engine = try await load(order, manifest) { part in
      let permille = Int(min(max(part, 0), 1) * 1_000)
      // The agent that is gone wants no model: stop loading.
      return
        (try? Outbox.write(
          LengthFraming.framed(WorkerEvent.progress(permille: permille).encoded), to: descriptor))
        != nil
    }
    for file in order.descriptors { close(file) }
    // Libraries read their settings at the first use: that must be before files are closed.
    _ = try SoftwareKEMKey.generate(.p256)
    _ = try SoftwareKEMKey.generate(.x25519)
    // Empty until the keys are made; the filter would refuse memfd_secret(2).
    let arena = try SecretArena()
    var inForce = try ProcessHardening.finish(begun)
    inForce.facts.insert(.lockedKeys)
    if arena.protection == .secret { inForce.facts.insert(.secretKeys) }
    try ProcessHardening.require(
      SandboxFacts(names: order.requiredFacts).facts, in: inForce)
    let model = ModelID(SHA256.digest(order.manifest))
    let keyring = SealedKeyring(
      SealedKeyring.Identity(
        node: order.node, model: model, release: order.release,
        engine: SHA256.digest(Array(engine.identity.text.utf8))), arena: arena)
    let filter = ProcessHardening.filterProgram(allowsDeviceControl: order.allowsDeviceControl)
    let worker = try Worker(
      descriptor: descriptor,
      facts: Worker.Facts(
        model: model, protections: inForce.names, filter: SHA256.digest(filter)),
      policy: order.policy, engine: engine, keyring: keyring, time: SystemTime())
    try await worker.run()
  }

  /// The manifest, with its files' digests checked against the open files.
  private static func checkedManifest(_ order: WorkerOrder) async throws -> ModelManifest {
    let manifest = try ModelManifest(decoding: order.manifest)
    guard manifest.files.count == order.descriptors.count else {
      throw WorkerError(.badCommand, "one descriptor for each file of the manifest")
    }
    let unknown = order.requiredFacts.filter { SandboxFact(rawValue: $0) == nil }
    guard unknown.isEmpty else {
      throw WorkerError(
        .unprotected,
        "it does not know what is demanded (\(unknown.joined(separator: ", "))); "
          + "install agent and worker of the same release")
    }
    guard order.verifiesFiles else { return manifest }
    let hasher = FileHasher()
    for (file, descriptor) in zip(manifest.files, order.descriptors) {
      let (digest, byteCount) = try await hasher.digest(ofDescriptor: descriptor)
      guard digest == file.sha256, byteCount == file.byteCount else {
        throw WorkerError(.badModel, "a file is not the one that its manifest names")
      }
    }
    return manifest
  }

  private static func report(_ error: any Error, _ descriptor: Int32) {
    let event = WorkerEvent.failed(error.safeDescription)
    // The channel may be what failed: then there is nobody left to tell.
    try? Outbox.write(LengthFraming.framed(event.encoded), to: descriptor)
  }
}
