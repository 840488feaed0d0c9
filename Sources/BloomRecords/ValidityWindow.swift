package import BloomBase

/// When a machine's keys may be used: its statement's two times, and what clocks and queues need.
package struct ValidityWindow: Hashable, Sendable {
  /// First second of the offer.
  package var notBefore: UnixTime
  /// End of the offer.
  package var notAfter: UnixTime

  /// Joins the two times.
  package init(notBefore: UnixTime, notAfter: UnixTime) {
    self.notBefore = notBefore
    self.notAfter = notAfter
  }

  /// Whether the offer covers a time, give or take the clock skew.
  package func isOffered(at now: UnixTime) -> Bool {
    covers(now, after: KeyStatement.clockSkewSeconds)
  }

  /// Whether a node may have begun a request at a time: a sealed one waits for its turn.
  package func isAccepted(at time: UnixTime) -> Bool {
    covers(time, after: KeyStatement.graceSeconds)
  }

  private func covers(_ time: UnixTime, after seconds: Int64) -> Bool {
    notBefore.seconds - KeyStatement.clockSkewSeconds <= time.seconds
      && time.seconds < notAfter.seconds + seconds
  }
}
