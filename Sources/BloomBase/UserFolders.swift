/// Where the program's files are, by the XDG Base Directory Specification 0.8.
///
/// Pure: the environment is passed in. Relative paths in it are ignored, as the specification says.
public struct UserFolders: Sendable, Equatable {
  /// Settings the user writes: `~/.config/darkbloom`.
  public let configuration: String
  /// What must be kept: `~/.local/share/darkbloom`.
  public let data: String
  /// What can be made again: `~/.cache/darkbloom`.
  public let cache: String
  /// Sockets; `nil` where the system has no such folder.
  public let runtime: String?

  /// Reads `XDG_…_HOME`, `XDG_RUNTIME_DIR` and `HOME`; `nil` without an absolute home folder.
  public init?(environment: [String: String], program: String = "darkbloom") {
    func folder(_ name: String) -> String? {
      guard let path = environment[name], path.hasPrefix("/") else { return nil }
      return path
    }
    guard let home = folder("HOME") else { return nil }
    configuration = "\(folder("XDG_CONFIG_HOME") ?? "\(home)/.config")/\(program)"
    data = "\(folder("XDG_DATA_HOME") ?? "\(home)/.local/share")/\(program)"
    cache = "\(folder("XDG_CACHE_HOME") ?? "\(home)/.cache")/\(program)"
    runtime = folder("XDG_RUNTIME_DIR").map { "\($0)/\(program)" }
  }
}
