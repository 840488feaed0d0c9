internal import BloomBase
internal import BloomModels
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// `darkbloom node earnings|models|doctor`: what a node has done, could do, and lacks.
struct NodeReports {
  static let earningsSpec = CommandSpec(
    "earnings", "what the machine earned and cost, day by day",
    discussion: """
      Costs are by the owner's figures under `costs` in node.json5; where there are none, nothing is \
      taken off.
      """,
    options: [
      CommandContext.data, NodeSetup.socket, NodeSetup.settings, OptionSpec.json,
      OptionSpec("days", value: "N", "how many days, 14 unless given"),
    ],
    examples: [.init("darkbloom node earnings --days 30", "the last month, a line a day")])
  static let modelsSpec = CommandSpec(
    "models", "which models this machine would serve, and why not the others",
    discussion: """
      Measures for about a second how fast memory can be read; the speeds are estimates for one stream, \
      ±25 %.
      """,
    options: [CommandContext.data, CommandContext.models, NodeSetup.settings, OptionSpec.json],
    examples: [.init("darkbloom node models", "what fits beside what the owner needs")])
  static let doctorSpec = CommandSpec(
    "doctor", "check everything that a node needs, with a fix for each fault",
    options: NodeSetup.serving + [OptionSpec.json],
    examples: [.init("darkbloom node doctor", "before the first start, or when no work comes")])

  private let setup: NodeSetup
  private var context: CommandContext { setup.context }

  init(_ setup: NodeSetup) { self.setup = setup }

  private func print(json value: JSONValue) {
    Swift.print(String(decoding: value.encoded, as: UTF8.self))
  }

  // MARK: Earnings

  func earnings() async throws -> ExitCode {
    let book: JSONValue
    if let answer = try? await setup.ask(.earnings) {
      book = answer
    } else {
      // No node runs: its book is on the disk.
      book = try NodeService.earnings(
        dataFolder: context.dataFolder, costs: setup.settingsFile.load().costs)
    }
    let days = (book["days"]?.items ?? []).prefix(
      try context.command.integer("days", in: 1...400) ?? 14)
    if context.command.has("json") {
      print(json: .members(["days": .array(Array(days))]))
      return .done
    }
    if days.isEmpty { Swift.print("nothing yet") }
    for day in days { Swift.print(NodeStatusPage.line(ofDay: day)) }
    return .done
  }

  // MARK: Models

  func models() async throws -> ExitCode {
    let settings = try setup.settingsFile.load()
    let models = try setup.models()
    let plan = MemoryPlan(models, settings: settings)
    let facts = await QuickBenchmark.run()
    let running = (try? await setup.ask(.status))?["models"]?.items ?? []
    var items: [JSONValue] = []
    var lines: [String] = []
    for (model, advice) in zip(models, plan.advice) {
      let speed = facts.tokensPerSecond(weightBytes: model.manifest.weightBytes)
      let state = running.first { $0["model"]?.string == model.id.digest.hex }?["state"]?.string
      items.append(
        .members([
          "name": .string(advice.name), "model": .string(model.id.digest.hex),
          "needs_mib": .integer(advice.neededBytes >> 20),
          "fits": .bool(advice.reason == nil),
          "reason": advice.reason.map { .string($0) } ?? .null,
          "estimated_tokens_per_second": speed.map { .integer(Int64($0)) } ?? .null,
          "state": state.map { .string($0) } ?? .null,
        ]))
      let estimate = speed.map { ", about \(Int($0)) tokens/s a stream" } ?? ""
      lines.append(
        "\(advice.name)\n  needs \(advice.neededBytes >> 20) MiB: "
          + (advice.reason ?? "fits\(estimate)") + (state.map { "; \($0) now" } ?? ""))
    }
    if context.command.has("json") {
      print(
        json: .members([
          "budget_mib": plan.budgetBytes.map { .integer($0 >> 20) } ?? .null,
          "machine": facts.json, "models": .array(items),
        ]))
      return .done
    }
    let budget = plan.budgetBytes.map { "\($0 >> 20) MiB" } ?? "all it has"
    Swift.print(
      "this machine reads \(Int(facts.bytesPerSecond / 1e9)) GB/s with \(facts.cores) cores and gives "
        + "models \(budget)")
    for card in facts.graphics {
      Swift.print("graphics \(card.name), \(card.memoryBytes >> 20) MiB")
    }
    if lines.isEmpty { lines = ["no models yet; add one with: darkbloom models add FILE.gguf"] }
    for line in lines { Swift.print(line) }
    return .done
  }

  // MARK: Doctor

  func doctor() async throws -> ExitCode {
    var findings: [NodeDoctor.Finding]
    if try PrivateFile.read(setup.networkPath) == nil {
      findings = [NodeDoctor.noNetwork]
    } else {
      do {
        let logKey = try JoinedNetwork(path: setup.networkPath).logKey
        findings = await NodeDoctor(
          configuration: try setup.configuration(), logKey: logKey
        ).examine()
      } catch {
        findings = [NodeDoctor.unusable(error.spoken)]
      }
    }
    let hasFault = findings.contains { $0.state == .fault }
    if context.command.has("json") {
      Swift.print(String(decoding: NodeDoctor.json(findings), as: UTF8.self))
      return hasFault ? .failed : .done
    }
    for finding in findings {
      Swift.print("\(finding.state.rawValue)\t\(finding.name): \(finding.text)")
      if let fix = finding.fix { Swift.print("\t→ \(fix)") }
    }
    if findings.allSatisfy({ $0.state == .ok }) { Swift.print("all good: the node serves") }
    return hasFault ? .failed : .done
  }
}
