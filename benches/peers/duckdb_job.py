#!/usr/bin/env python3
"""DuckDB -> CSV -> \\copy -> upsert: the same attributions from the same files, as a batch job.

    duckdb_job.py FOLDER DATABASE_URL TENANT

Reads all FOLDER/*.json (arrays of audit records), merges the two sides of each message in DuckDB, and upserts the result
into the table `attribution` of peers/schema.sql. Prints {"records": N, "messages": N, "seconds": S}; the start of Python
and the imports are not in the time.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import duckdb

RECORDS = """
CREATE TEMP TABLE records AS
SELECT Id, Operation, CreationTime, lower(UserId) AS user_id, lower(MailboxOwnerUPN) AS owner,
       MailboxOwnerSid <> LogonUserSid AS delegated, lower(SendAsUserSmtp) AS sent_as,
       Item.InternetMessageId AS message_id
FROM read_json(?, format = 'array', columns = {
    Id: 'VARCHAR', Operation: 'VARCHAR', CreationTime: 'TIMESTAMP', UserId: 'VARCHAR', OrganizationId: 'VARCHAR',
    MailboxOwnerUPN: 'VARCHAR', MailboxOwnerSid: 'VARCHAR', LogonUserSid: 'VARCHAR', SendAsUserSmtp: 'VARCHAR',
    Item: 'STRUCT(InternetMessageId VARCHAR)'})
"""

MERGE = """
COPY (
    WITH events AS (
        SELECT trim(message_id, '<> ') AS message_id, Id, CreationTime, user_id,
               Operation = 'SendAs' AND delegated AS mailbox_side,
               CASE WHEN Operation = 'Send' THEN 5 WHEN delegated THEN 1 ELSE 2 END AS rank,
               CASE WHEN Operation = 'SendAs' THEN coalesce(sent_as, CASE WHEN delegated THEN owner END) END AS mailbox
        FROM records WHERE Operation IN ('SendAs', 'Send')
    )
    SELECT $tenant AS tenant_id, md5(message_id) AS message_key, message_id, min(CreationTime) AS sent_at,
           min(rank) AS rank, arg_min(user_id, rank) AS agent, max(mailbox) AS mailbox,
           bool_or(mailbox_side) AS mailbox_side, bool_or(NOT mailbox_side) AS agent_side,
           '{' || string_agg(DISTINCT Id, ',') || '}' AS records
    FROM events GROUP BY message_id
) TO '$csv' (FORMAT csv, HEADER false)
"""

UPSERT = """
CREATE TEMP TABLE staging (LIKE attribution);
\\copy staging FROM '{csv}' WITH (FORMAT csv)
INSERT INTO attribution SELECT * FROM staging ON CONFLICT (tenant_id, message_key) DO UPDATE SET
    sent_at = least(attribution.sent_at, excluded.sent_at), rank = least(attribution.rank, excluded.rank),
    agent = CASE WHEN excluded.rank < attribution.rank THEN excluded.agent ELSE attribution.agent END,
    mailbox = coalesce(attribution.mailbox, excluded.mailbox),
    mailbox_side = attribution.mailbox_side OR excluded.mailbox_side,
    agent_side = attribution.agent_side OR excluded.agent_side,
    records = attribution.records || excluded.records;
"""


def main(folder, database, tenant):
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temp:
        csv = os.path.join(temp, "messages.csv")
        db = duckdb.connect(config={"threads": os.cpu_count()})
        db.execute(RECORDS, [os.path.join(folder, "*.json")])
        db.execute(MERGE.replace("$tenant", f"'{tenant}'").replace("$csv", csv))
        psql = [os.environ.get("PSQL", "psql"), "-qX", "-v", "ON_ERROR_STOP=1", database]
        subprocess.run(psql, input=UPSERT.format(csv=csv), text=True, check=True)
        seconds = time.monotonic() - start
        records = db.execute("SELECT count(*) FROM records").fetchone()[0]
        messages = db.execute("SELECT count(DISTINCT trim(message_id, '<> ')) FROM records "
                              "WHERE Operation IN ('SendAs', 'Send')").fetchone()[0]
    print(json.dumps({"records": records, "messages": messages, "seconds": seconds}))


main(*sys.argv[1:])
