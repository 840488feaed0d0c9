internal import BloomHTTP
internal import BloomNet
internal import BloomWire

/// The agent's local socket: status, pause and resume, for the owner's commands only.
///
/// The socket file has mode 0600: whoever may open it is the owner.
struct NodeConsole: Sendable {
  let agent: NodeAgent
  let owner: OwnerSwitch

  /// `GET /v1/status`, `POST /v1/pause`, `POST /v1/resume`; each answers with the status.
  func router() -> Router {
    var router = Router()
    router.get("/v1/status") { _ in await status() }
    router.post("/v1/pause") { _ in
      await owner.setPaused(true)
      return await status()
    }
    router.post("/v1/resume") { _ in
      await owner.setPaused(false)
      return await status()
    }
    addLocalDoor(to: &router)
    return router
  }

  private func status() async -> Response { .json(await agent.status().json) }
}
