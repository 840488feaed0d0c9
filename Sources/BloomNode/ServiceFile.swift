#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The file that makes a node start with its owner's session: pure text.
package enum ServiceFile: Sendable {
  /// The unit's and the agent's name.
  package static let name = "darkbloom-node"

  /// A systemd user unit, for `~/.config/systemd/user/darkbloom-node.service`.
  ///
  /// `Nice` and the idle scheduler keep the node behind the owner's programs; a wrong command line
  /// or configuration is not tried again and again. systemd.service(5).
  ///
  /// - Parameters:
  ///   - program: Path of `darkbloom`.
  ///   - arguments: What follows it.
  /// - Returns: The file; `nil` when a path or argument cannot be written into one.
  package static func systemdUnit(program: String, arguments: [String]) -> String? {
    let words = [program] + arguments
    guard words.allSatisfy(isPlain) else { return nil }
    let command = words.map { word in
      let escaped = word.map { character -> String in
        switch character {
        case "\"", "\\": "\\\(character)"
        case "%", "$": "\(character)\(character)"
        default: String(character)
        }
      }
      return "\"\(escaped.joined())\""
    }
    return """
      [Unit]
      Description=Darkbloom node: private inference for others while this machine is idle
      Documentation=man:darkbloom(1)
      After=network-online.target

      [Service]
      ExecStart=\(command.joined(separator: " "))
      Restart=on-failure
      RestartSec=10
      RestartPreventExitStatus=2 78
      TimeoutStopSec=40
      KillMode=mixed
      Nice=15
      IOSchedulingClass=idle
      NoNewPrivileges=yes

      [Install]
      WantedBy=default.target

      """
  }

  /// A launchd agent, for `~/Library/LaunchAgents/`.
  ///
  /// Standard, not background: a background type clamps the graphics processor to an eighth, and
  /// yielding is the engine's own task. launchd.plist(5).
  ///
  /// - Parameters:
  ///   - program: Path of `darkbloom`.
  ///   - arguments: What follows it.
  ///   - log: Where both outputs go; nowhere when `nil`.
  /// - Returns: The file; `nil` when a path or argument cannot be written into one.
  package static func launchAgent(
    program: String, arguments: [String], log: String? = nil
  ) -> String? {
    let words = [program] + arguments + (log.map { [$0] } ?? [])
    guard words.allSatisfy(isPlain) else { return nil }
    let outputs = log.map { path in
      ["StandardOutPath", "StandardErrorPath"].map {
        "\n  <key>\($0)</key>\n  <string>\(escaped(path))</string>"
      }.joined()
    }
    let list = ([program] + arguments).map { "    <string>\(escaped($0))</string>" }.joined(
      separator: "\n")
    return """
      <?xml version="1.0" encoding="UTF-8"?>
      <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
      <plist version="1.0">
      <dict>
        <key>Label</key>
        <string>org.darkbloom.node</string>
        <key>ProgramArguments</key>
        <array>
      \(list)
        </array>
        <key>RunAtLoad</key>
        <true/>
        <key>KeepAlive</key>
        <dict>
          <key>SuccessfulExit</key>
          <false/>
        </dict>
        <key>ProcessType</key>
        <string>Standard</string>
        <key>ExitTimeOut</key>
        <integer>40</integer>\(outputs ?? "")
      </dict>
      </plist>

      """
  }

  /// Whether a path names a file that this user may run.
  package static func isProgram(_ path: String) -> Bool { unsafe access(path, X_OK) == 0 }

  private static func isPlain(_ word: String) -> Bool {
    word.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
  }

  private static func escaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      default: result.append(character)
      }
    }
  }
}
