#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A PostgreSQL server of one's own on a Unix socket, stopped and removed with its owner.
///
/// Needs the programs of the package `postgresql`. As root it runs as the user `postgres`, since
/// the server refuses root.
package final class PrivatePostgres: Sendable {
  private let folder: TemporaryFolder
  private let programs: String

  /// Makes and starts a server with its default settings.
  ///
  /// - Throws: ``TestSupportError`` when PostgreSQL is not installed or does not start.
  package init() throws(TestSupportError) {
    folder = try TemporaryFolder("postgres")
    let installed =
      ["17", "16", "15", "14"].map { "/usr/lib/postgresql/\($0)/bin" }
      + ["/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"]
    guard let programs = installed.first(where: { unsafe access("\($0)/initdb", X_OK) == 0 })
    else { throw TestSupportError("no PostgreSQL here: install the package postgresql") }
    self.programs = programs
    if getuid() == 0, ChildProcess.run(["/bin/chown", "postgres", folder.path]) != 0 {
      throw TestSupportError("the user postgres is missing: install the package postgresql")
    }
    try run("\(programs)/initdb -D \(folder.path)/data -U bloom -A trust --no-sync")
    try start()
  }

  deinit {
    // What is left of a server that does not stop is removed with its folder.
    try? run("\(programs)/pg_ctl -D \(folder.path)/data -m immediate stop")
  }

  /// How to connect, in the form of libpq.
  package var settings: String { "host=\(folder.path) user=bloom dbname=postgres" }

  /// The same as an address.
  package var address: String { "postgresql://bloom@/postgres?host=\(folder.path)" }

  /// Stops the server as its operator does in a hurry: connections are ended, nothing is lost.
  ///
  /// - Throws: ``TestSupportError`` when it does not run.
  package func stop() throws(TestSupportError) {
    try run("\(programs)/pg_ctl -D \(folder.path)/data -m immediate stop")
  }

  /// Ends every client's connection, while the server goes on.
  ///
  /// - Throws: ``TestSupportError`` when the server does not answer.
  package func endConnections() throws(TestSupportError) {
    try run(
      """
      \(programs)/psql -h \(folder.path) -U bloom -qAt -d postgres -c \
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
         AND backend_type = 'client backend'"
      """)
  }

  /// Makes an empty database.
  ///
  /// - Returns: How to connect to it, as an address.
  /// - Throws: ``TestSupportError`` when there is one of that name.
  package func makeDatabase(_ name: String) throws(TestSupportError) -> String {
    try run("\(programs)/createdb -h \(folder.path) -U bloom \(name)")
    return "postgresql://bloom@/\(name)?host=\(folder.path)"
  }

  /// Ends all of the server's processes at whatever instruction they are (SIGKILL).
  ///
  /// - Throws: ``TestSupportError`` when it does not run.
  package func kill() throws(TestSupportError) {
    // The postmaster first: it would restart what dies before it. Its lock files go too: where
    // nobody collects orphans the killed process looks alive to the next server.
    try run(
      """
      read pid < \(folder.path)/data/postmaster.pid &&
      { children=$(pgrep -P $pid || cat /proc/$pid/task/$pid/children) 2>/dev/null
        kill -9 $pid $children; rm \(folder.path)/data/postmaster.pid \(folder.path)/.s.PGSQL.*; }
      """)
  }

  /// Has all of the server's processes stand still, as on a disk that hangs, or go on.
  ///
  /// - Throws: ``TestSupportError`` when it does not run.
  package func freeze(_ isFrozen: Bool) throws(TestSupportError) {
    let signal = isFrozen ? "STOP" : "CONT"
    try run(
      """
      read pid < \(folder.path)/data/postmaster.pid &&
      { children=$(pgrep -P $pid || cat /proc/$pid/task/$pid/children) 2>/dev/null
        kill -\(signal) $pid $children; }
      """)
  }

  /// Starts the server; after ``kill()`` it recovers from its log first.
  ///
  /// - Throws: ``TestSupportError`` when it does not start.
  package func start() throws(TestSupportError) {
    // Processes that were just killed may hold the shared memory a moment longer.
    try run(
      """
      for attempt in 1 2 3 4 5; do
        \(programs)/pg_ctl -D \(folder.path)/data -w -l \(folder.path)/log \
          -o "-k \(folder.path) -c listen_addresses=''" start && exit 0
        sleep 0.2
      done
      exit 1
      """)
  }

  /// Dumps the database while it is in use and restores the dump as another of this server.
  ///
  /// - Parameter name: The new database's.
  /// - Returns: How to connect to it.
  /// - Throws: ``TestSupportError`` when one of the programs fails.
  package func restoreDump(as name: String) throws(TestSupportError) -> String {
    let server = "-h \(folder.path) -U bloom"
    try run(
      """
      \(programs)/pg_dump \(server) -Fc -f \(folder.path)/dump postgres &&
      \(programs)/createdb \(server) \(name) &&
      \(programs)/pg_restore \(server) --exit-on-error -d \(name) \(folder.path)/dump
      """)
    return "host=\(folder.path) user=bloom dbname=\(name)"
  }

  private func run(_ script: String) throws(TestSupportError) {
    let command =
      getuid() == 0 ? ["/bin/su", "postgres", "-c", script] : ["/bin/sh", "-c", script]
    guard ChildProcess.run(command) == 0 else {
      throw TestSupportError("a program of PostgreSQL failed; see \(folder.path)/log")
    }
  }
}
