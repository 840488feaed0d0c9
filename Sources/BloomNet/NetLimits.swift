/// Fixed limits of this module; what users may change is in configurations.
enum NetLimits {
  /// Bytes handed to the kernel in one step of a plain write; bounds the copy of what is left.
  static let writeStepBytes = 262_144
  /// Plain bytes encrypted in one step; 4 records.
  static let tlsStepBytes = 65_536
  /// Bytes written or read by one connection before it lets others run.
  static let yieldBytes = 32_768
  /// How long a gentle close waits for the peer.
  static let lingerTime = Duration.seconds(2)
  /// Bytes a gentle close skips.
  static let lingerBytes = 262_144
  /// Waiting connections of a listener; the kernel cuts it to its own limit.
  static let backlog: Int32 = 4_096
  /// Bytes of a DNS name, RFC 1035 §2.3.4 without the root label.
  static let nameBytes = 253
  /// Bytes of one label of a DNS name.
  static let labelBytes = 63
  /// Between two connection attempts, RFC 8305 §5.
  static let attemptDelay = Duration.milliseconds(250)
  /// Addresses of one name that are tried.
  static let maxAttempts = 8
  /// Bytes in flight in one direction of a memory pair.
  static let memoryWindowBytes = 65_536
  /// How long a server's certificate and ticket keys are used before the files are read again.
  static let tlsContextTime = Duration.seconds(12 * 3600)
}
