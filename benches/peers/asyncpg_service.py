#!/usr/bin/env python3
"""The same service as a team would write it in Python: grpc.aio, uvloop, orjson, asyncpg.

    asyncpg_service.py PROTO_FOLDER DATABASE_URL

Serves IngestAuditBatch of sentby's own API on a free port: parse, merge what the batch says of each message, upsert in one
transaction, answer. Both sides of a message may come in any batch, so the upsert merges with what is stored.
"""

import asyncio
import hashlib
import json
import pathlib
import sys
import tempfile
import uuid
from datetime import datetime, timezone

import asyncpg
import grpc
import orjson
import uvloop
from grpc_tools import protoc

UPSERT = """
INSERT INTO attribution SELECT t, k, i, s, r, a, m, ms, ags, ids::uuid[] FROM UNNEST($1::uuid[], $2::uuid[], $3::text[],
    $4::timestamptz[], $5::smallint[], $6::text[], $7::text[], $8::boolean[], $9::boolean[], $10::text[])
    AS n(t, k, i, s, r, a, m, ms, ags, ids)
ON CONFLICT (tenant_id, message_key) DO UPDATE SET
    sent_at = least(attribution.sent_at, excluded.sent_at), rank = least(attribution.rank, excluded.rank),
    agent = CASE WHEN excluded.rank < attribution.rank THEN excluded.agent ELSE attribution.agent END,
    mailbox = coalesce(attribution.mailbox, excluded.mailbox),
    mailbox_side = attribution.mailbox_side OR excluded.mailbox_side,
    agent_side = attribution.agent_side OR excluded.agent_side,
    records = attribution.records || excluded.records
"""


def messages(content):
    """One row a message: what the batch says of it."""
    merged, kept = {}, 0
    records = orjson.loads(content)
    for record in records:
        operation = record["Operation"]
        if operation not in ("SendAs", "Send"):
            continue
        kept += 1
        owner, user = record["MailboxOwnerUPN"].lower(), record["UserId"].lower()
        mailbox_side = operation == "SendAs" and record["MailboxOwnerSid"] != record["LogonUserSid"]
        rank = 5 if operation == "Send" else 1 if mailbox_side else 2
        mailbox = None
        if operation == "SendAs":
            sent_as = record.get("SendAsUserSmtp")
            mailbox = sent_as.lower() if sent_as else owner if mailbox_side else None
        at = datetime.fromisoformat(record["CreationTime"]).replace(tzinfo=timezone.utc)
        key = record["Item"]["InternetMessageId"].strip("<> ")
        row = merged.get(key)
        if row is None:
            merged[key] = [at, rank, user, mailbox, mailbox_side, not mailbox_side, {record["Id"]}]
            continue
        row[0] = min(row[0], at)
        if rank < row[1]:
            row[1], row[2] = rank, user
        row[3] = row[3] or mailbox
        row[4] |= mailbox_side
        row[5] |= not mailbox_side
        row[6].add(record["Id"])
    return merged, len(records), kept


async def store(pool, tenant, merged):
    # in one order, or two batches lock each other
    keys = sorted(merged)
    rows = [merged[key] for key in keys]
    columns = [
        [tenant] * len(keys),
        [uuid.UUID(bytes=hashlib.md5(key.encode()).digest()) for key in keys],
        keys,
        *([row[i] for row in rows] for i in range(6)),
        ["{" + ",".join(row[6]) + "}" for row in rows],
    ]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(UPSERT, *columns)



async def main(protos, database):
    with tempfile.TemporaryDirectory() as temp:
        files = [str(path.relative_to(protos)) for path in pathlib.Path(protos).rglob("*.proto")]
        include = f"-I{protoc.__path__[0] if hasattr(protoc, '__path__') else protoc.__file__.rsplit('/', 1)[0]}/_proto"
        assert protoc.main(["protoc", f"-I{protos}", include, f"--python_out={temp}", *files]) == 0
        sys.path.insert(0, temp)
        from sentby.v1 import ingest_service_pb2 as pb
    pool = await asyncpg.create_pool(database, min_size=4, max_size=4)

    async def ingest(request, _):
        merged, received, kept = messages(request.content)
        await store(pool, uuid.UUID(request.tenant_id), merged)
        return pb.IngestAuditBatchResponse(counts=pb.Counts(received=received, kept=kept))

    method = grpc.unary_unary_rpc_method_handler(
        ingest,
        request_deserializer=pb.IngestAuditBatchRequest.FromString,
        response_serializer=pb.IngestAuditBatchResponse.SerializeToString,
    )
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 16 << 20)])
    service = grpc.method_handlers_generic_handler("sentby.v1.IngestService", {"IngestAuditBatch": method})
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"message": "serving", "address": f"127.0.0.1:{port}"}), file=sys.stderr, flush=True)
    await server.wait_for_termination()


uvloop.run(main(*sys.argv[1:]))
