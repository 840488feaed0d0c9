#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What `Package.swift`, `docs/architecture.md` and the files say about the targets.
struct PackageLayout {
  struct Target {
    let name: String
    let isTest: Bool
    let dependencies: [String]
    let files: [SourceFile]
  }

  struct SourceFile {
    let path: String
    let lines: [String]

    /// The modules a Swift file imports.
    var imports: [String] {
      lines.compactMap { line in
        let words = line.split(separator: " ").map(String.init)
        guard let index = words.firstIndex(of: "import"), index + 1 < words.count,
          words[..<index].allSatisfy({
            ["internal", "package", "public", "private", "fileprivate"].contains($0)
              || $0.hasPrefix("@")
          })
        else { return nil }
        return words[index + 1]
      }
    }
  }

  static let root: String = {
    var path = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    path.removeLast(3)
    return path.joined(separator: "/")
  }()

  let targets: [Target]
  /// Layer of each target, from the table in docs/architecture.md.
  let layers: [String: Int]

  init() throws {
    var layers: [String: Int] = [:]
    for line in try Self.read("docs/architecture.md").split(separator: "\n") {
      let cells = line.split(separator: "|").map { Self.trim($0) }
      if cells.count >= 3, let layer = Int(cells[0]) { layers[cells[1]] = layer }
    }
    self.layers = layers

    var targets: [Target] = []
    for line in try Self.read("Package.swift").split(separator: "\n") {
      let text = Self.trim(line)
      guard
        let kind = ["library", "program", "tests", "shim", "system"].first(where: {
          text.hasPrefix("\($0)(\"")
        })
      else { continue }
      let names = text.split(separator: "\"", omittingEmptySubsequences: false)
        .enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
      guard let name = names.first else { continue }
      let isTest = kind == "tests"
      let folder = "\(isTest ? "Tests" : "Sources")/\(name)"
      targets.append(
        Target(
          name: name, isTest: isTest,
          dependencies: kind == "system" ? [] : Array(names.dropFirst()),
          files: try Self.swiftFiles(in: folder)))
    }
    self.targets = targets
  }

  func target(_ name: String) -> Target? { targets.first { $0.name == name } }

  /// A target and all it depends on.
  func closure(of name: String) -> Set<String> {
    var seen: Set<String> = []
    var next = [name]
    while let current = next.popLast() {
      guard seen.insert(current).inserted else { continue }
      next.append(contentsOf: target(current)?.dependencies ?? [])
    }
    return seen
  }

  static func read(_ path: String) throws -> String {
    try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)
  }

  static func trim(_ text: Substring) -> String {
    var text = text
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }

  static func swiftFiles(in folder: String) throws -> [SourceFile] {
    try FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(folder)")
      .filter { $0.hasSuffix(".swift") }.sorted()
      .map { file in
        let text = try read("\(folder)/\(file)")
        return SourceFile(
          path: "\(folder)/\(file)",
          lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
      }
  }
}
