internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomWire

/// What the operator asks about models over the local socket.
struct CatalogAdminRoutes: Sendable {
  let catalog: ManifestCatalog

  func add(to router: inout Router) {
    router.post("/models/list") { _ in
      try await AccountAnswer.make {
        .members(["models": .array(catalog.entries().map { Self.entry($0) })])
      }
    }
    router.post("/models/allow") { request in
      try await AccountAnswer.make {
        let entry = try find(try await JSONBody(request).needed("model"))
        if !entry.isListed { try catalog.list(entry.model) }
        return try shown(entry.model)
      }
    }
    router.post("/models/add") { request in
      try await AccountAnswer.make {
        let text = try await JSONBody(request).needed("manifest")
        guard let bytes = Base64.decode(text) else {
          throw AccountError(.invalid, "the manifest is not base64")
        }
        return try shown(try catalog.list(bytes))
      }
    }
    router.post("/models/remove") { request in
      try await AccountAnswer.make {
        let entry = try find(try await JSONBody(request).needed("model"))
        try catalog.unlist(entry.model)
        return .members(["removed": .string(entry.model.digest.hex)])
      }
    }
  }

  /// A model by its name, or by 8 digits or more of its id.
  private func find(_ text: String) throws -> ManifestCatalog.Entry {
    let entries = catalog.entries()
    let found = entries.filter {
      $0.name == text || text.utf8.count >= 8 && $0.model.digest.hex.hasPrefix(text)
    }
    guard let first = found.first else {
      throw AccountError(
        .notFound, "no listed or offered model has this name or id; see: admin models list")
    }
    guard found.count == 1 else {
      throw AccountError(.invalid, "\(found.count) models have this name; give an id")
    }
    return first
  }

  private func shown(_ model: ModelID) throws -> JSONValue {
    guard let entry = catalog.entries().first(where: { $0.model == model }) else {
      throw AccountError(.notFound, "the model is gone")
    }
    return Self.entry(entry)
  }

  private static func entry(_ entry: ManifestCatalog.Entry) -> JSONValue {
    .members([
      "model": .string(entry.model.digest.hex), "name": entry.name.map { .string($0) } ?? .null,
      "listed": .bool(entry.isListed), "served": .bool(entry.isServed),
      "machines": .integer(entry.machines),
    ])
  }
}
