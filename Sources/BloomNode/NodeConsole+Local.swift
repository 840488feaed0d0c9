internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomRecords
internal import BloomWire

extension NodeConsole {
  /// `GET /v1/record`, `GET /v1/manifests/:digest` and `POST /v1/sealed`, for the owner's gateway.
  func addLocalDoor(to router: inout Router) {
    router.get("/v1/record") { request in
      let record = await agent.record
      // `?use=1`: a request is about to come. Without a record the gateway does not even know the
      // models, so its first look after a start counts as well.
      if record == nil || request.query("use") == "1" { await agent.expectOwnRequests() }
      guard let bytes = record?.encoded else {
        return .text("no worker is ready\n", status: .serviceUnavailable)
      }
      return .bytes(bytes, type: "application/cbor")
    }
    router.get("/v1/manifests/:digest") { request in
      guard
        let digest = request.parameters["digest"].flatMap({ Hex.decode($0) }).flatMap({ Digest($0) }
        ),
        let manifest = await agent.manifest(of: ModelID(digest))
      else { return .text("no such manifest\n", status: .notFound) }
      return .bytes(manifest, type: "application/cbor")
    }
    router.post("/v1/sealed") { request in
      let envelope = try await request.body.collect(upTo: BloomWire.Limits.envelope)
      guard let (stream, answer) = await agent.takeLocal(envelope) else {
        return .json(
          JSONValue.members(["error": .members(["reason": .string(Reason.malformed.name)])])
            .encoded,
          status: .badRequest)
      }
      return .stream("application/darkbloom-res") { writer in
        do {
          while let (bytes, resumes) = await answer.next() {
            try await writer.write(bytes)
            if resumes { await agent.resumeLocal(stream) }
          }
        } catch {
          await agent.leaveLocal(stream)
          throw error
        }
        await agent.leaveLocal(stream)
      }
    }
  }
}
