internal import BloomPlatform

/// Lists folders of the system.
enum SystemFolder: Sendable {
  /// The names in a folder, ascending, without hidden ones; empty when it cannot be read.
  static func names(_ path: String) -> [String] { (try? FolderNames.visible(in: path)) ?? [] }
}
