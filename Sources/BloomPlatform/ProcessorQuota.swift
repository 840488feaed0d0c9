/// What control groups leave a process of the machine's processors: cgroups(7), version 2.
///
/// A quota is time, not a set of processors: more threads than it is worth are all stopped together
/// for the rest of each period.
package enum ProcessorQuota: Sendable {
  /// Processors that the text of a `cpu.max` is worth, rounded up and at least 1.
  ///
  /// - Parameter text: Microseconds of processor time and of the period, or `max` for the first.
  /// - Returns: `nil` where there is no quota, and for any other text.
  package static func processors(_ text: String) -> Int? {
    let words = text.split { $0.isWhitespace }
    guard words.count == 2, let quota = Int(words[0]), let period = Int(words[1]), quota > 0,
      period > 0
    else { return nil }
    let whole = quota / period
    return quota % period == 0 ? whole : whole + 1
  }

  /// The folders whose quotas hold for a process: its own group's, then its parents' to the root.
  ///
  /// - Parameter groups: The text of `/proc/PID/cgroup`.
  /// - Returns: Absolute paths, the process's own first and the root last.
  package static func folders(_ groups: String) -> [String] {
    let root = "/sys/fs/cgroup"
    // A container may see the path as its host does, or as outside its own part (`/../…`): then
    // only the root is found, which is the container's own group.
    let line = groups.split(separator: "\n").first { $0.hasPrefix("0::/") } ?? "0::/"
    var names = line.dropFirst(4).split(separator: "/")
    if names.contains("..") { names = [] }
    var folders: [String] = []
    while !names.isEmpty {
      folders.append("\(root)/\(names.joined(separator: "/"))")
      names.removeLast()
    }
    return folders + [root]
  }

  /// Processors that the strictest of the quotas leaves.
  ///
  /// - Parameter read: Gives the text of a file; `nil` when there is none.
  /// - Returns: 1 or more; `nil` without any quota.
  package static func strictest(_ read: (String) -> String?) -> Int? {
    guard let groups = read("/proc/self/cgroup") else { return nil }
    return folders(groups).compactMap { read("\($0)/cpu.max") }.compactMap(processors).min()
  }
}
