extension ParameterTable {
  /// The part of `docs/api.md` that is made from the tables.
  package static var markdown: String {
    var text = ""
    for table in all {
      text += "## `POST \(table.endpoint)`\n\n"
      if let note = table.note { text += "\(note)\n\n" }
      text += "| parameter | treatment |\n| --- | --- |\n"
      for (name, treatment) in table.parameters {
        let words =
          switch treatment {
          case .honoured: "honoured"
          case .ignored(let reason): "no effect: \(reason)"
          case .refused(let reason): "refused: \(reason)"
          }
        text += "| `\(name)` | \(words) |\n"
      }
      text += "\n"
    }
    return text
  }
}
