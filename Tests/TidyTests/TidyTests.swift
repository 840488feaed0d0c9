import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Properties of the system that no compiler checks, read from the files.
@Suite struct TidyTests {
  let layout: PackageLayout

  init() throws { layout = try PackageLayout() }

  static let pureTargets: Set<String> = [
    "BloomWire", "BloomRecords", "BloomSeal", "BloomOpen", "BloomSchedule", "BloomLedger",
    "BloomHTTP", "BloomAPI", "BloomLink",
  ]
  static let systemModules: Set<String> = [
    "Glibc", "Darwin", "Synchronization", "FoundationEssentials", "Foundation", "Testing",
    "Dispatch", "os", "Security", "CryptoKit", "IOKit", "IOKit.ps", "IOKit.pwr_mgt", "CoreGraphics",
    "DeviceCheck",
    "AppKit", "MachO.dyld", "Musl",
  ]

  @Test func `imports are declared`() {
    for target in layout.targets {
      let allowed = Set(target.dependencies).union(Self.systemModules).union([target.name])
      for file in target.files {
        for module in file.imports {
          #expect(
            allowed.contains(module),
            "\(file.path) imports \(module), which Package.swift does not give it")
        }
      }
    }
  }

  @Test func `dependencies go down the layers`() {
    for target in layout.targets where !target.isTest {
      guard let layer = layout.layers[target.name] else { continue }
      for dependency in target.dependencies {
        guard let below = layout.layers[dependency] else { continue }
        #expect(
          below <= layer,
          "\(target.name) (layer \(layer)) depends on \(dependency) (layer \(below))")
      }
    }
  }

  @Test func `each C module has one Swift importer`() {
    for module in layout.targets.map(\.name) where module.hasPrefix("C") && module != "CPlatform" {
      let importers = layout.targets.filter { target in
        !target.isTest && !target.name.hasPrefix("bench-")
          && target.files.contains { $0.imports.contains(module) }
      }.map(\.name)
      // What opens messages is a library of its own, so that the coordinator links none of it.
      let allowed =
        module == "COpenSSL" ? ["BloomCrypto", "BloomHPKE"] : Array(importers.prefix(1))
      #expect(Set(importers).isSubset(of: allowed), "\(module) is imported by \(importers)")
    }
  }

  @Test func `pure targets do no I/O and read no clock`() {
    let forbiddenImports: Set<String> = [
      "Glibc", "Darwin", "Dispatch", "Foundation", "FoundationEssentials", "BloomPlatform",
      "BloomNet", "BloomStore", "CPlatform",
    ]
    let forbiddenCalls = ["print(", "Date(", "Task.sleep", "UUID(", ".random(", "SystemTime("]
    for target in layout.targets where Self.pureTargets.contains(target.name) {
      for file in target.files {
        #expect(forbiddenImports.isDisjoint(with: file.imports), "\(file.path) is pure")
        for (number, line) in file.lines.enumerated() {
          let code = line.split(separator: "//", omittingEmptySubsequences: false).first ?? ""
          // Keys and nonces are drawn where they are used once, so that no caller can pass old ones.
          for call in forbiddenCalls
          where code.contains(call) && !code.contains("SecretBytes.random(")
            && !code.contains("CivilDate(")
          {
            Issue.record("\(file.path):\(number + 1) is pure but says \(call)")
          }
        }
      }
    }
  }

  @Test func `unchecked isolation gives its reason`() {
    for target in layout.targets where !target.isTest {
      for file in target.files {
        for (number, line) in file.lines.enumerated()
        where line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") {
          let around = file.lines[max(0, number - 4)...min(file.lines.count - 1, number + 2)]
          #expect(
            around.contains { $0.contains("// ") },
            "\(file.path):\(number + 1) needs a reason beside it")
        }
      }
    }
  }

  @Test func `the coordinator cannot open a message`() {
    let reachable = layout.closure(of: "darkbloom-coordinator")
    let opening: Set<String> = [
      "BloomHPKE", "BloomSeal", "BloomOpen", "BloomEngine", "BloomEngineLlama", "BloomWorker",
      "BloomClient",
      "CLlama",
    ]
    #expect(reachable.isDisjoint(with: opening), "\(reachable.intersection(opening))")
  }

  @Test func `every target is in the architecture's table`() {
    for target in layout.targets where !target.isTest {
      let isTool =
        ["bench-", "bloom-", "BloomTest"].contains { target.name.hasPrefix($0) }
        || ["BloomBench", "BloomSim", "BloomChaos"].contains(target.name)
      #expect(
        isTool || layout.layers[target.name] != nil,
        "\(target.name) is missing in docs/architecture.md")
    }
  }

  @Test func `every folder of code is a target`() throws {
    for (folder, isTest) in [("Sources", false), ("Tests", true)] {
      let names = Set(layout.targets.filter { $0.isTest == isTest }.map(\.name))
      let base = "\(PackageLayout.root)/\(folder)"
      for path in try FileManager.default.subpathsOfDirectory(atPath: base)
      where path.hasSuffix(".swift") {
        let owner = path.split(separator: "/").first.map(String.init) ?? ""
        #expect(names.contains(owner), "Package.swift does not list \(folder)/\(owner)")
      }
    }
  }

  @Test func `no program links full Foundation`() {
    for target in layout.targets where !target.isTest {
      for file in target.files {
        for (index, line) in file.lines.enumerated() where line.hasSuffix("import Foundation") {
          let guarded = file.lines[..<index].last { $0.hasPrefix("#") } ?? ""
          #expect(
            guarded.hasPrefix("#else") || guarded.contains("TSAN") || guarded.contains("os(macOS)"),
            "\(file.path):\(index + 1) links full Foundation")
        }
      }
    }
  }

  @Test func `what docs/skips.md lists are tests with a condition`() throws {
    var conditional: Set<String> = []
    for target in layout.targets where target.isTest {
      for file in target.files {
        for (index, line) in file.lines.enumerated() where line.contains("@Test(.enabled(if:") {
          let words = file.lines[index...].prefix(2).joined(separator: " ")
          let parts = words.split(separator: "`", omittingEmptySubsequences: false)
          if parts.count > 1 { conditional.insert(String(parts[1])) }
        }
      }
    }
    for row in try PackageLayout.read("docs/skips.md").split(separator: "\n")
    where row.hasPrefix("| `") {
      let name = String(row.split(separator: "`")[1])
      #expect(conditional.contains(name), "docs/skips.md lists \(name)")
    }
  }

  @Test func `NOTICE names every licence text, and each that it names is there`() throws {
    let words = try PackageLayout.read("NOTICE").split { " \n(),".contains($0) }.map(String.init)
    let named = Set(words.filter { $0.hasPrefix("licences/") })
    let folder = "\(PackageLayout.root)/licences"
    let present = try FileManager.default.subpathsOfDirectory(atPath: folder)
      .map { "licences/\($0)" }
    #expect(named.symmetricDifference(present).sorted() == [])
  }

  @Test func `no unfinished work and no huge file is checked in`() throws {
    let marks = [
      "TO" + "DO", "FIX" + "ME", "not impl" + "emented", "<<<" + "<<<< ", ">>>" + ">>>> ",
    ]
    for target in layout.targets {
      for file in target.files {
        for (number, line) in file.lines.enumerated() {
          for mark in marks where line.contains(mark) {
            Issue.record("\(file.path):\(number + 1) says \(mark)")
          }
        }
      }
    }
    for folder in ["Sources", "Tests", "docs", "scripts"] {
      let base = "\(PackageLayout.root)/\(folder)"
      for path in try FileManager.default.subpathsOfDirectory(atPath: base) {
        let size =
          try FileManager.default.attributesOfItem(atPath: "\(base)/\(path)")[.size] as? Int
        #expect((size ?? 0) <= 500_000, "\(folder)/\(path) is over 500 KB")
      }
    }
  }
}
