/// The tables, as a list of migrations: number n brings a file from version n − 1 to n.
///
/// Never change one that was released; add the next.
enum SQLiteSchema {
  static let migrations = [
    """
    CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES('writer', 0);
    CREATE TABLE entries(sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL,
      kind INTEGER NOT NULL, reference TEXT NOT NULL, body BLOB NOT NULL);
    CREATE INDEX entries_by_time ON entries(time);
    CREATE INDEX entries_with_key ON entries(time) WHERE kind NOT IN (3, 4);
    CREATE TABLE account_entries(account TEXT NOT NULL, sequence INTEGER NOT NULL,
      PRIMARY KEY(account, sequence)) WITHOUT ROWID;
    CREATE TABLE balances(account TEXT PRIMARY KEY, credit INTEGER NOT NULL,
      earned INTEGER NOT NULL, reserved INTEGER NOT NULL, held INTEGER NOT NULL,
      payout INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE answers(id BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE disputes(sequence INTEGER NOT NULL, part INTEGER NOT NULL, body BLOB NOT NULL,
      PRIMARY KEY(sequence, part)) WITHOUT ROWID;
    CREATE TABLE payouts(id INTEGER PRIMARY KEY, account TEXT NOT NULL, pending INTEGER NOT NULL,
      body BLOB NOT NULL);
    CREATE INDEX payouts_by_account ON payouts(account, id);
    CREATE TABLE policies(version INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE prices(version INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE usage(account TEXT NOT NULL, day INTEGER NOT NULL, role INTEGER NOT NULL,
      node BLOB NOT NULL, model BLOB NOT NULL, answers INTEGER NOT NULL,
      prompt INTEGER NOT NULL, completion INTEGER NOT NULL, replayed INTEGER NOT NULL,
      gross INTEGER NOT NULL, fee INTEGER NOT NULL, replay_paid INTEGER NOT NULL,
      PRIMARY KEY(account, day, role, node, model)) WITHOUT ROWID;
    CREATE TABLE records(kind INTEGER NOT NULL, id TEXT NOT NULL, grp TEXT NOT NULL,
      expires INTEGER, body BLOB NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
    CREATE INDEX records_by_group ON records(kind, grp, id);
    CREATE INDEX records_by_expiry ON records(expires) WHERE expires IS NOT NULL;
    """,
    // Every page a group changes is written to the log whole. So what every settlement adds goes
    // to the end of a table, and is sorted by account a few thousand rows at a time; usage is
    // sorted by day first, so that a day's rows lie together. docs/decisions/ledger-pages.md
    """
    DROP INDEX entries_by_time;
    CREATE TABLE account_tail(sequence INTEGER NOT NULL, account TEXT NOT NULL);
    CREATE TABLE account_movements(account TEXT NOT NULL, sequence INTEGER NOT NULL,
      PRIMARY KEY(account, sequence)) WITHOUT ROWID;
    INSERT INTO account_movements SELECT a.account, a.sequence FROM account_entries a
      JOIN entries e ON e.sequence = a.sequence WHERE e.kind NOT IN (3, 4);
    DELETE FROM account_entries
      WHERE sequence IN (SELECT sequence FROM entries WHERE kind <> 4);
    CREATE TABLE usage_by_day(account TEXT NOT NULL, day INTEGER NOT NULL, role INTEGER NOT NULL,
      node BLOB NOT NULL, model BLOB NOT NULL, answers INTEGER NOT NULL,
      prompt INTEGER NOT NULL, completion INTEGER NOT NULL, replayed INTEGER NOT NULL,
      gross INTEGER NOT NULL, fee INTEGER NOT NULL, replay_paid INTEGER NOT NULL,
      PRIMARY KEY(day, account, role, node, model)) WITHOUT ROWID;
    INSERT INTO usage_by_day SELECT * FROM usage;
    DROP TABLE usage;
    ALTER TABLE usage_by_day RENAME TO usage;
    """,
    // Answers end in about the order they began: by number, the rows of a group lie together. Their
    // own identities are random, and each would be on a page of its own.
    //
    // A run is what the tail held when it was sorted: for each account one row, with the numbers of
    // its settlements less `first`, in decimal with commas. Runs follow one another, so that sorting
    // writes new pages only, as many however long the history.
    """
    CREATE TABLE open_answers(number INTEGER PRIMARY KEY, body BLOB NOT NULL);
    INSERT INTO open_answers(body) SELECT body FROM answers;
    DROP TABLE answers;
    CREATE TABLE account_runs(first INTEGER NOT NULL, account TEXT NOT NULL,
      offsets TEXT NOT NULL, PRIMARY KEY(first, account)) WITHOUT ROWID;
    INSERT INTO account_runs
      SELECT sequence / 8192 * 8192, account, group_concat(sequence % 8192)
      FROM account_entries GROUP BY 1, 2;
    DROP TABLE account_entries;
    CREATE TABLE proofs(line INTEGER PRIMARY KEY, body BLOB NOT NULL);
    """,
  ]

  /// Rows of `account_tail` that become a run together.
  ///
  /// A statement reads the tail whole, in less than a millisecond.
  static let tailRows: Int64 = 16384

  /// Pages of the write-ahead log after which it is copied into the file: 32 MiB.
  ///
  /// Pages that change with every group are copied once for many groups.
  static let walPages: Int32 = 8192
}
