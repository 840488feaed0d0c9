package import BloomBase
package import BloomModels

/// A model that this machine serves: what it is and where its files lie.
package struct NodeModel: Sendable, Equatable {
  /// What it is.
  package let manifest: ModelManifest
  /// Paths of the manifest's files, in its order.
  package let paths: [String]
  /// The manifest's digest.
  package let id: ModelID

  /// Joins a manifest and its files.
  ///
  /// - Throws: ``NodeError`` `badConfiguration` unless there is one path for each file.
  package init(manifest: ModelManifest, paths: [String]) throws(NodeError) {
    guard manifest.files.count == paths.count, !paths.isEmpty else {
      throw NodeError(.badConfiguration, "a model needs one path for each file of its manifest")
    }
    self.manifest = manifest
    self.paths = paths
    id = manifest.id
  }
}
