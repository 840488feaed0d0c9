public import BloomBase
internal import BloomWire

/// Models that other programs on this machine have downloaded already; read in place.
public struct ForeignCache: Sendable {
  /// One model that can be added with ``ModelStore/add(_:name:inPlace:)``.
  public struct Entry: Equatable, Sendable {
    /// The name there, for example `llama3.2:3b`.
    public let name: String
    /// The GGUF file.
    public let path: String
    /// The digest that the other program states; checked when the model is added.
    public let statedDigest: Digest?
  }

  /// Bounds of what is searched.
  public enum Limits: Sendable {
    /// Models of one cache.
    public static let models = 4_096
    /// Bytes of one of Ollama's manifests.
    public static let manifestBytes = 1 << 20
  }

  /// Models of an Ollama folder, usually `~/.ollama/models`.
  ///
  /// Layout: `manifests/HOST/NAMESPACE/NAME/TAG` is JSON whose layer of media type
  /// `application/vnd.ollama.image.model` names `blobs/sha256-HEX`. What cannot be read is skipped.
  ///
  /// - Parameter root: The folder; a missing one has no models.
  /// - Returns: In the order of names.
  public static func ollama(root: String) -> [Entry] {
    var entries: [Entry] = []
    walk("\(root)/manifests", depth: 4) { path in
      guard entries.count < Limits.models,
        let bytes = try? Folder.contents(path, limitBytes: Limits.manifestBytes),
        let digest = weightsDigest(bytes)
      else { return }
      let blob = "\(root)/blobs/sha256-\(digest.hex)"
      let parts = path.split(separator: "/").suffix(2)
      guard parts.count == 2, Folder.byteCount(blob) != nil else { return }
      entries.append(
        Entry(name: parts.joined(separator: ":"), path: blob, statedDigest: digest))
    }
    return entries.sorted { $0.name < $1.name }
  }

  /// GGUF files of llama.cpp's folder, usually `~/.cache/llama.cpp`.
  ///
  /// - Parameter root: The folder; a missing one has no models.
  /// - Returns: In the order of names; the first piece only of models in pieces.
  public static func llama(root: String) -> [Entry] {
    let names = (try? Folder.names(root)) ?? []
    return names.prefix(Limits.models).compactMap { name in
      guard name.hasSuffix(".gguf"), Folder.byteCount("\(root)/\(name)") != nil else { return nil }
      return Entry(
        name: ModelManifest.plainName(name), path: "\(root)/\(name)", statedDigest: nil)
    }
  }

  /// GGUF files of the Hugging Face cache, where newer builds of llama.cpp keep theirs.
  ///
  /// Layout: `models--ORG--NAME/snapshots/REVISION/FILE`, links into `blobs`.
  ///
  /// - Parameter root: The folder, usually `~/.cache/huggingface/hub`; a missing one has no models.
  /// - Returns: In the order of names; a file that several revisions hold comes once.
  public static func huggingFace(root: String) -> [Entry] {
    var entries: [String: Entry] = [:]
    // A folder that cannot be listed belongs to someone else: it has no models for us.
    for model in (try? Folder.names(root)) ?? [] where model.hasPrefix("models--") {
      walk("\(root)/\(model)/snapshots", depth: 4) { path in
        guard path.hasSuffix(".gguf"), entries.count < Limits.models else { return }
        let name = ModelManifest.plainName(Folder.lastPart(path))
        entries[name] = Entry(name: name, path: path, statedDigest: nil)
      }
    }
    return entries.values.sorted { $0.name < $1.name }
  }

  /// The digest of the weights that one of Ollama's manifests names.
  static func weightsDigest(_ manifest: [UInt8]) -> Digest? {
    guard let value = try? JSONValue(decoding: manifest), let layers = value["layers"]?.items else {
      return nil
    }
    for layer in layers
    where layer["mediaType"]?.string == "application/vnd.ollama.image.model" {
      guard let text = layer["digest"]?.string, text.hasPrefix("sha256:") else { continue }
      return Digest(Hex.decode(text.dropFirst(7)) ?? [])
    }
    return nil
  }

  private static func walk(_ path: String, depth: Int, _ visit: (String) -> Void) {
    // Folders that cannot be listed belong to someone else: they have no models for us.
    for name in (try? Folder.names(path)) ?? [] {
      let child = "\(path)/\(name)"
      if Folder.byteCount(child) != nil {
        visit(child)
      } else if depth > 0 {
        walk(child, depth: depth - 1, visit)
      }
    }
  }
}
