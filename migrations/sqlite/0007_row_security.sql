-- The table of ../postgres/0007_row_security.sql, which explains it. SQLite has no roles and no row security: who reads
-- the file reads it all, and the table stays empty.

CREATE TABLE reader (
    role    TEXT NOT NULL PRIMARY KEY,
    tenants TEXT
) STRICT, WITHOUT ROWID;
