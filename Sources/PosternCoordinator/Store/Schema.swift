import GRDB

/// The tables, migration by migration. A migration that was released never changes.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 registry") { db in try db.execute(sql: registry) }
        return migrator
    }

    /// Times are milliseconds since 1970; keys are base64; envelopes, signatures and the pool are JSON.
    ///
    /// `statements` has one row for each statement of an admin that counts: definitions, and the removals of nodes that
    /// are remembered. `admins` has the chain of admins. `changes` has one row for each statement (but renewals) or end
    /// of a session, with the entry or node that it is about; its rows stay as they are. `places` has one row for each
    /// address that was ever given; `released_at` starts its quarantine.
    private static let registry = """
        CREATE TABLE mesh (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            domain TEXT NOT NULL,
            url TEXT NOT NULL,
            pool TEXT NOT NULL,
            version INTEGER NOT NULL,
            next_peer INTEGER NOT NULL CHECK (next_peer BETWEEN 1 AND 4294967296)
        ) STRICT;
        CREATE TABLE admins (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            document TEXT NOT NULL UNIQUE,
            signatures TEXT NOT NULL
        ) STRICT;
        CREATE TABLE statements (
            kind TEXT NOT NULL CHECK (kind IN ('agent', 'service', 'policy', 'removal of node')),
            name TEXT NOT NULL,
            document TEXT NOT NULL,
            signatures TEXT NOT NULL,
            version INTEGER NOT NULL,
            PRIMARY KEY (kind, name)
        ) STRICT;
        CREATE TABLE changes (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            version INTEGER NOT NULL,
            at INTEGER NOT NULL,
            what TEXT NOT NULL,
            subject TEXT,
            digest TEXT UNIQUE,
            envelope TEXT
        ) STRICT;
        CREATE INDEX changes_by_subject ON changes (subject, number) WHERE subject IS NOT NULL;
        CREATE INDEX changes_by_version ON changes (version);
        CREATE TRIGGER changes_are_never_changed BEFORE UPDATE ON changes
            BEGIN SELECT RAISE(ABORT, 'changes are only added'); END;
        CREATE TRIGGER changes_are_never_deleted BEFORE DELETE ON changes
            BEGIN SELECT RAISE(ABORT, 'changes are only added'); END;
        CREATE TABLE places (
            place INTEGER PRIMARY KEY,
            released_at INTEGER
        ) STRICT;
        CREATE TABLE nodes (
            name TEXT PRIMARY KEY,
            peer INTEGER NOT NULL UNIQUE,
            place INTEGER NOT NULL UNIQUE REFERENCES places (place),
            key TEXT NOT NULL UNIQUE,
            certificate TEXT NOT NULL,
            previous_certificate TEXT,
            statement TEXT NOT NULL
        ) STRICT;
        CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            agent TEXT NOT NULL,
            node TEXT NOT NULL REFERENCES nodes (name),
            peer INTEGER NOT NULL UNIQUE,
            place INTEGER NOT NULL UNIQUE REFERENCES places (place),
            key TEXT NOT NULL UNIQUE,
            started INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            statement TEXT NOT NULL
        ) STRICT;
        CREATE INDEX sessions_by_node ON sessions (node);
        CREATE INDEX sessions_by_end ON sessions (expires);
        CREATE TABLE join_tokens (
            digest TEXT PRIMARY KEY,
            node TEXT,
            expires INTEGER NOT NULL,
            used_at INTEGER
        ) STRICT;
        """
}
