internal import BloomWire

extension OwnerPolicy {
  /// Why the owner does not serve a request; `nil` when the owner does.
  ///
  /// The text goes to the user inside the seal. It names the rule, never the phrase that matched:
  /// the list is the owner's own.
  func refusal(of request: CanonicalRequest, model: String) -> SealedFailure? {
    if refuses(model: model) {
      return SealedFailure(.unsupported, "the owner of this machine does not serve this model")
    }
    if refusedKinds.contains(request.kind) {
      return SealedFailure(
        .unsupported, "the owner of this machine does not serve \(request.kind.name)")
    }
    if refusesTools, !(request.body["tools"]?.items ?? []).isEmpty {
      return SealedFailure(.unsupported, "the owner of this machine does not serve tools")
    }
    if refusesMedia, Self.holdsMedia(request.body) {
      return SealedFailure(
        .unsupported, "the owner of this machine does not serve pictures or sound")
    }
    let phrases = refusedPhrases.map { $0.lowercased() }.filter { !$0.isEmpty }
    if !phrases.isEmpty,
      Self.texts(request.body).contains(where: { text in
        let lower = text.lowercased()
        return phrases.contains { lower.contains($0) }
      })
    {
      return SealedFailure(
        .unsupported, "the owner of this machine does not serve requests with this content")
    }
    return nil
  }

  /// Whether the owner does not serve a model of this name.
  func refuses(model: String) -> Bool {
    let name = model.lowercased()
    return refusedModels.contains { $0.lowercased() == name }
  }

  private static func holdsMedia(_ body: JSONValue) -> Bool {
    (body["messages"]?.items ?? []).contains { message in
      (message["content"]?.items ?? []).contains { part in
        guard let type = part["type"]?.string else { return false }
        return type != "text" && type != "refusal"
      }
    }
  }

  /// Every text of a body, however deep: a phrase must not hide in a tool's result.
  private static func texts(_ value: JSONValue) -> [String] {
    switch value {
    case .string(let text): [text]
    case .array(let items): items.flatMap(texts)
    case .object(let members): members.flatMap { texts($0.value) }
    case .null, .bool, .number: []
    }
  }
}
