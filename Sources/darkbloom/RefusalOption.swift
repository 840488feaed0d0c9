internal import BloomBase
internal import BloomWire

/// `--refuse WHAT`: what the owner of this machine does not serve.
enum RefusalOption {
  static let spec = OptionSpec(
    "refuse", value: "WHAT",
    "do not serve this: chat, completion, embeddings, tools, media, model:NAME or phrase:TEXT",
    repeats: true)

  /// The owner's policy in the words of the command line.
  static func policy(_ words: [String]) throws(UsageError) -> OwnerPolicy {
    var policy = OwnerPolicy.open
    for word in words {
      if word == "tools" {
        policy.refusesTools = true
      } else if word == "media" {
        policy.refusesMedia = true
      } else if word.hasPrefix("model:"), word.count > 6 {
        policy.refusedModels.append(String(word.dropFirst(6)))
      } else if word.hasPrefix("phrase:"), word.count > 7 {
        policy.refusedPhrases.append(String(word.dropFirst(7)))
      } else if let kind = JobKind.allCases.first(where: { $0.name == word }) {
        policy.refusedKinds.insert(kind)
      } else {
        throw UsageError("--refuse does not know \(word); see darkbloom node run --help")
      }
    }
    guard policy.refusedPhrases.count <= WorkerLinkLimits.refusedPhrases,
      policy.refusedModels.count <= WorkerLinkLimits.refusedModels,
      policy.refusedPhrases.allSatisfy({ $0.utf8.count <= 256 }),
      policy.refusedModels.allSatisfy({ $0.utf8.count <= 128 })
    else {
      throw UsageError("--refuse takes names of 128 bytes, phrases of 256, and not that many")
    }
    return policy
  }
}
