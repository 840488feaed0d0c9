internal import BloomBase
internal import CLibuv

/// Return codes of libuv as errors of this module. docs.libuv.org/en/v1.x/errors.html
enum UVCode: Sendable {
  static let again = Int32(UV_EAGAIN.rawValue)
  static let end = Int32(UV_EOF.rawValue)

  static func name(_ code: Int32) -> String {
    unsafe String(cString: uv_err_name(code))
  }

  static func text(_ code: Int32) -> String {
    unsafe String(cString: uv_strerror(code))
  }

  /// A failed read, write or connect.
  static func error(_ code: Int32) -> NetError {
    switch uv_errno_t(rawValue: code) {
    case UV_EOF, UV_ECONNRESET, UV_EPIPE: .peerLeft
    case UV_ECANCELED: .closed
    case UV_ETIMEDOUT: NetError(.timedOut, "the peer does not answer any more")
    case UV_ECONNREFUSED:
      NetError(
        .connectFailed,
        "connection refused: nobody listens there; is the program started, and the "
          + "port the right one?")
    case UV_ENETUNREACH, UV_EHOSTUNREACH, UV_EADDRNOTAVAIL:
      NetError(.connectFailed, "no route to the host: check the network connection")
    case UV_ENOENT: NetError(.connectFailed, "no such socket file: is the service running?")
    case UV_EACCES, UV_EPERM:
      NetError(
        .system,
        "the system does not permit the connection: check the socket file's owner and "
          + "mode, or the firewall")
    case UV_EMFILE, UV_ENFILE:
      NetError(.system, "too many open files: raise the limit with ulimit -n")
    default: NetError(.system, "\(text(code)) (\(name(code)))")
    }
  }

  /// For calls that fail through errors of this program only.
  static func check(_ code: Int32, _ function: StaticString = #function) {
    invariant(code >= 0, "\(function): \(name(code))")
  }
}
