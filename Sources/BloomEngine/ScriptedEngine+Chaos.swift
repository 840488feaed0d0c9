extension ScriptedEngine.Script {
  /// How the workers of the chaos suite speak: long enough to be killed in the middle.
  public static let chaos: Self = {
    var script = Self()
    script.answerTokens = 96
    script.timePerToken = .milliseconds(20)
    script.prefillTime = .milliseconds(20)
    script.slots = 24
    return script
  }()
}
