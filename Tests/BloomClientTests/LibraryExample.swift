import BloomAPI
import BloomBase
import BloomClient
import BloomNet
import BloomPlatform
import BloomRecords
import BloomSeal
import BloomWire

/// Asks one question of verified machines and gives the text of the answer.
///
/// - Parameters:
///   - question: What leaves this device only sealed.
///   - model: A name from `PrivateInference.models()`.
///   - coordinator: The network's interface, with the account's key.
///   - origin: The name of the coordinator's log, as `darkbloom join` printed it.
///   - logKey: The log's Ed25519 key, pinned then.
/// - Returns: The text, and who gave it: machine, tier, receipt and cost.
/// - Throws: Why nothing was sent, or why the answer broke off.
func ask(
  _ question: String, model: String, of coordinator: CoordinatorClient, origin: String,
  logKey: [UInt8]
) async throws -> (text: String, facts: AnswerFacts) {
  // Where the request may go, and what a machine there must prove. Nothing else is ever asked.
  var policy = PlacementPolicy(places: [.public])
  policy.minimumTier = .software
  let view = NetworkView(
    remotes: [
      NetworkView.Remote(
        coordinator: coordinator, verifier: try DirectoryVerifier(origin: origin, key: logKey))
    ],
    policy: policy, time: SystemTime(), log: Log("example", sink: StandardErrorLog()))
  let inference = PrivateInference(network: view, time: SystemTime())

  // Any body of OpenAI's chat completions; what is wrong with it is said before anything leaves.
  let body = JSONValue.members([
    "model": .string(model),
    "messages": .array([.members(["role": .string("user"), "content": .string(question)])]),
  ])
  let answer = try await inference.begin(try ChatRequest.parse(body.encoded))
  var text = ""
  while let step = await answer.next() {
    switch step {
    case .tokens(let frame):
      for case .content(let piece) in frame.deltas { text += piece }
    case .failed(let failure, let sealed):
      throw UsageError("the answer broke off: \(sealed?.message ?? "\(failure)")")
    case .finished, .embedding, .json: break
    }
  }
  return (text, await answer.settledFacts())
}
