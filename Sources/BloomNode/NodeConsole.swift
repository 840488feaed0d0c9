internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomWire

/// The agent's local socket, for the owner's commands only.
///
/// The socket file has mode 0600: whoever may open it is the owner.
struct NodeConsole: Sendable {
  let agent: NodeAgent
  let owner: OwnerSwitch
  let rules: OwnerRules
  /// Ends the service, drained.
  let stop: @Sendable () -> Void

  /// `GET /v1/status`, `GET /v1/earnings`; `POST /v1/pause`, `/v1/resume`, `/v1/reload` and
  /// `/v1/stop`, which answer with the status.
  func router() -> Router {
    var router = Router()
    router.get("/v1/status") { _ in await status() }
    router.get("/v1/earnings") { _ in
      .json(await agent.book().json(await rules.settings.costs).encoded)
    }
    router.post("/v1/pause") { _ in
      await owner.setPaused(true)
      return await status()
    }
    router.post("/v1/resume") { _ in
      await owner.setPaused(false)
      return await status()
    }
    router.post("/v1/reload") { _ in
      do {
        try await rules.reload()
      } catch {
        let text = JSONValue.members(["error": .string(error.safeDescription)])
        return .json(text.encoded, status: .unprocessableContent)
      }
      return await status()
    }
    router.post("/v1/stop") { _ in
      let answer = await status()
      stop()
      return answer
    }
    addLocalDoor(to: &router)
    return router
  }

  private func status() async -> Response {
    var status = await agent.status()
    status.signals = await rules.signals()
    status.costs = await rules.settings.costs
    return .json(status.json)
  }
}
