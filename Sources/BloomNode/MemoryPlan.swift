internal import BloomBase
internal import BloomPlatform

/// Which of the chosen models are served within the owner's memory, and how much each gets; pure.
package struct MemoryPlan: Sendable {
  /// The models that fit, in the owner's order.
  package let models: [NodeModel]
  /// What is said about each chosen model.
  package let advice: [ModelAdvice]
  /// What all workers together may take; `nil` for no limit.
  package let budgetBytes: UInt64?
  private let shares: [ModelID: UInt64]

  /// Plans for this machine.
  package init(_ models: [NodeModel], settings: OwnerSettings?) {
    let limits = settings?.limits
    let isFree = settings == nil || settings?.isDedicated == true && limits?.memoryMebibytes == 0
    let total = HardwareFacts.current().memoryBytes
    self.init(
      models, budgetBytes: isFree ? nil : limits?.memoryBytes(total: total),
      threads: limits?.threads)
  }

  /// Plans for a budget.
  init(_ models: [NodeModel], budgetBytes: UInt64?, threads: Int? = nil) {
    self.budgetBytes = budgetBytes
    self.threads = threads ?? 0
    advice = ModelAdvice.advise(models.map(\.manifest), budgetBytes: budgetBytes ?? .max)
    let fitting = zip(models, advice).filter { $0.1.reason == nil }
    self.models = fitting.map(\.0)
    guard let budgetBytes else {
      shares = [:]
      return
    }
    // What nobody needs is shared out, for more slots and longer contexts.
    let needed = fitting.reduce(0) { $0 + $1.1.neededBytes }
    let extra = fitting.isEmpty ? 0 : (budgetBytes - needed) / UInt64(fitting.count)
    shares = Dictionary(
      fitting.map { ($0.0.id, $0.1.neededBytes + extra) }, uniquingKeysWith: { first, _ in first })
  }

  private let threads: Int

  /// What a model's worker is told.
  func settings(_ settings: WorkerSettings, for model: NodeModel) -> WorkerSettings {
    var settings = settings
    if let share = shares[model.id], settings.memoryBytes == 0 {
      settings.memoryBytes = Int(clamping: share)
      // Fewer at once rather than none at all.
      if settings.slots == 0, let slots = ModelAdvice.slots(of: model.manifest, within: share) {
        settings.slots = slots
      }
    }
    // The owner's limit holds also for a wish on the command line.
    if threads > 0 {
      settings.threads = settings.threads == 0 ? threads : min(settings.threads, threads)
    }
    return settings
  }

  /// Why nothing is served.
  var nothingFits: String {
    let reasons = advice.compactMap { item in item.reason.map { "\(item.name) \($0)" } }
    return "no model fits: \(reasons.joined(separator: "; ")); "
      + "choose a smaller one, or raise limits.memory_mib in node.json5"
  }
}
