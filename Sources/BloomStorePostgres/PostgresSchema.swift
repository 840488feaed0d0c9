internal import BloomStore

/// The tables, as a list of migrations: number n brings a database from version n − 1 to n.
///
/// Never change one that was released; add the next.
enum PostgresSchema {
  static let migrations = [
    """
    CREATE TABLE entries(sequence BIGINT PRIMARY KEY, time BIGINT NOT NULL,
      kind BIGINT NOT NULL, reference TEXT NOT NULL, body BYTEA NOT NULL);
    CREATE INDEX entries_by_time ON entries(time);
    CREATE INDEX entries_with_key ON entries(time) WHERE kind NOT IN (3, 4);
    CREATE TABLE account_entries(account TEXT NOT NULL, sequence BIGINT NOT NULL,
      PRIMARY KEY(account, sequence));
    CREATE TABLE balances(account TEXT PRIMARY KEY, credit BIGINT NOT NULL,
      earned BIGINT NOT NULL, reserved BIGINT NOT NULL, held BIGINT NOT NULL,
      payout BIGINT NOT NULL);
    CREATE TABLE answers(id BYTEA PRIMARY KEY, body BYTEA NOT NULL);
    CREATE TABLE disputes(sequence BIGINT NOT NULL, part BIGINT NOT NULL, body BYTEA NOT NULL,
      PRIMARY KEY(sequence, part));
    CREATE TABLE payouts(id BIGINT PRIMARY KEY, account TEXT NOT NULL, pending BIGINT NOT NULL,
      body BYTEA NOT NULL);
    CREATE INDEX payouts_by_account ON payouts(account, id);
    CREATE TABLE policies(version BIGINT PRIMARY KEY, body BYTEA NOT NULL);
    CREATE TABLE prices(version BIGINT PRIMARY KEY, body BYTEA NOT NULL);
    CREATE TABLE usage(account TEXT NOT NULL, day BIGINT NOT NULL, role BIGINT NOT NULL,
      node BYTEA NOT NULL, model BYTEA NOT NULL, answers BIGINT NOT NULL,
      prompt BIGINT NOT NULL, completion BIGINT NOT NULL, replayed BIGINT NOT NULL,
      gross BIGINT NOT NULL, fee BIGINT NOT NULL, replay_paid BIGINT NOT NULL,
      PRIMARY KEY(account, day, role, node, model));
    CREATE TABLE records(kind BIGINT NOT NULL, id TEXT NOT NULL, grp TEXT NOT NULL,
      expires BIGINT, body BYTEA NOT NULL, PRIMARY KEY(kind, id));
    CREATE INDEX records_by_group ON records(kind, grp, id);
    CREATE INDEX records_by_expiry ON records(expires) WHERE expires IS NOT NULL;
    """,
    """
    CREATE TABLE account_movements(account TEXT NOT NULL, sequence BIGINT NOT NULL,
      PRIMARY KEY(account, sequence));
    INSERT INTO account_movements SELECT a.account, a.sequence FROM account_entries a
      JOIN entries e ON e.sequence = a.sequence WHERE e.kind NOT IN (3, 4);
    DELETE FROM account_entries
      WHERE sequence IN (SELECT sequence FROM entries WHERE kind <> 4);
    ALTER TABLE usage DROP CONSTRAINT usage_pkey,
      ADD PRIMARY KEY(day, account, role, node, model);
    """,
    """
    CREATE TABLE proofs(line BIGINT PRIMARY KEY, body BYTEA NOT NULL);
    """,
  ]

  /// Brings a database to the newest version.
  ///
  /// - Throws: `StoreError` when a newer program made it, or when it cannot be written.
  static func migrate(_ connection: PostgresConnection) throws {
    // One migration at a time, also when two coordinators start together.
    try connection.execute("BEGIN; SELECT pg_advisory_xact_lock(6077110)")
    try connection.execute(
      """
      CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value BIGINT NOT NULL);
      INSERT INTO meta VALUES('writer', 0), ('schema', 0) ON CONFLICT DO NOTHING
      """)
    let newest = migrations.count
    let version = try connection.query(
      "SELECT value FROM meta WHERE name = 'schema'", []
    ).integer(0, 0)
    guard version <= newest else {
      throw StoreError(.unreadable, "schema \(version) is newer than \(newest)")
    }
    for sql in migrations.dropFirst(Int(version)) {
      // A table of years may be written anew.
      try connection.execute(sql, patience: .seconds(3_600))
    }
    try connection.execute("UPDATE meta SET value = \(newest) WHERE name = 'schema'; COMMIT")
  }

  /// Becomes the one writer, whoever was before.
  ///
  /// The upper bits of the number count writers, the lower 20 the connections of one: so a writer
  /// that lost a connection knows its own number again, whatever became of its last statement.
  ///
  /// - Returns: The writer's number.
  static func takeOver(_ connection: PostgresConnection) throws -> Int64 {
    try connection.query(
      """
      UPDATE meta SET value = ((value >> 20) + 1) << 20 WHERE name = 'writer' RETURNING value
      """, []
    ).integer(0, 0)
  }

  /// All tables but `meta`.
  static let tables = [
    "entries", "account_entries", "account_movements", "balances", "answers", "disputes",
    "payouts", "policies", "prices", "usage", "records", "proofs",
  ]
}
