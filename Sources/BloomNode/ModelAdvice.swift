package import BloomModels

/// Which models fit a machine, and for the others why not; pure.
package struct ModelAdvice: Sendable, Equatable {
  /// What is said about one model.
  package enum Verdict: Sendable, Equatable {
    /// It fits; so many bytes stay free.
    case fits(freeBytes: UInt64)
    /// Weights and one context need more than the owner gives.
    case tooLarge(missingBytes: UInt64)
    /// It fits alone, but not beside the models before it.
    case noRoomBeside(missingBytes: UInt64)
  }

  /// The model's name.
  package let name: String
  /// Bytes of weights, one context and what computing takes.
  package let neededBytes: UInt64
  /// Whether it fits.
  package let verdict: Verdict

  /// Tokens of context that a slot should hold at least; models that can hold less need less.
  package static let contextTokens = 4_096

  /// Requests at once that a worker takes when nothing keeps it from it.
  package static let usualSlots = 4

  /// Buffers of the calculation, by the model's size; the engine's own estimate stays below.
  private static func bufferBytes(_ model: ModelManifest) -> UInt64 {
    64 << 20 + model.weightBytes / 16
  }

  private static func contextOfSlot(_ model: ModelManifest) -> Int {
    model.contextTokens > 0 ? min(model.contextTokens, contextTokens) : contextTokens
  }

  /// Bytes that a model needs for one request at a time; saturates.
  private static func neededBytes(_ model: ModelManifest) -> UInt64 {
    let (sum, isOver) = model.memoryBytes(contextTokens: contextOfSlot(model))
      .addingReportingOverflow(bufferBytes(model))
    return isOver ? .max : sum
  }

  /// How many requests at once have room in a share of the memory; `nil` for ``usualSlots`` or
  /// more.
  package static func slots(of model: ModelManifest, within bytes: UInt64) -> Int? {
    let needed = neededBytes(model)
    let perSlot = max(1, model.memoryBytes(contextTokens: contextOfSlot(model)) - model.weightBytes)
    let more = bytes > needed ? (bytes - needed) / perSlot : 0
    return more + 1 >= UInt64(usualSlots) ? nil : Int(more) + 1
  }

  /// Looks at models in the owner's order; each that fits takes its room.
  ///
  /// - Parameters:
  ///   - models: The most wanted first.
  ///   - budgetBytes: Memory that the owner gives.
  /// - Returns: A verdict for each, in the same order.
  package static func advise(_ models: [ModelManifest], budgetBytes: UInt64) -> [ModelAdvice] {
    var free = budgetBytes
    return models.map { model in
      let needed = neededBytes(model)
      let verdict: Verdict
      if needed <= free {
        free -= needed
        verdict = .fits(freeBytes: free)
      } else if needed <= budgetBytes {
        verdict = .noRoomBeside(missingBytes: needed - free)
      } else {
        verdict = .tooLarge(missingBytes: needed - budgetBytes)
      }
      return ModelAdvice(name: model.name, neededBytes: needed, verdict: verdict)
    }
  }

  /// Why it does not fit, in words; `nil` when it does.
  package var reason: String? {
    switch verdict {
    case .fits: nil
    case .tooLarge(let missing): "needs \(Self.mebibytes(missing)) MiB more than this machine gives"
    case .noRoomBeside(let missing):
      "needs \(Self.mebibytes(missing)) MiB more beside the models before it"
    }
  }

  private static func mebibytes(_ bytes: UInt64) -> UInt64 { (bytes >> 20) + 1 }
}
