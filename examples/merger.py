"""Keeps a table of a Postgres equal to what sentby lists: merger.py SERVER DATABASE-URL [--once] TENANT-GUID...

    pip install grpcio grpcio-reflection 'psycopg[binary]'        # Python 3.9 or newer
    merger.py 127.0.0.1:50051 postgresql://metrics@db/metrics 11111111-2222-4333-8444-555555555555

SERVER may name several replicas (ipv4:10.0.0.1:50051,10.0.0.2:50051): any of them goes on where another one stopped. It
follows until it is stopped (SIGTERM: exit 0); --once ends when all tenants are caught up, for cron. Kill it when you
like and start it again: what it has and how far it is are committed together, so neither can be ahead of the other.

While a whole range is read (the first time, or after a position was lost), old rows stay until the walk is complete:
readers see each message as it was or as it is, and never an empty table. A message whose send time has just changed may
be missing between the end of the walk and what the feed tells next.
"""
import argparse, json, random, signal, sys, threading, time, uuid
import grpc, psycopg
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

TABLES = """
CREATE TABLE IF NOT EXISTS sentby_message (
    tenant_id uuid, message_key uuid, message_id text, verdict text NOT NULL, basis text, agent text, agent_object_id uuid,
    mailbox text, sent_at timestamptz NOT NULL, confirmed boolean NOT NULL, contradicted boolean NOT NULL,
    candidates text[] NOT NULL, revision bigint NOT NULL,
    walk bigint NOT NULL, -- the last walk over the whole range that was under way or complete when the row was written
    PRIMARY KEY (tenant_id, message_key));
CREATE TABLE IF NOT EXISTS sentby_position (
    tenant_id uuid PRIMARY KEY, walk bigint NOT NULL, resume_token text NOT NULL,
    revision bigint) -- how far the feed is applied; NULL while a walk is under way, and the token is the walk's"""
COLUMNS = ("tenant_id message_key message_id verdict basis agent agent_object_id mailbox sent_at confirmed contradicted "
           "candidates revision walk").split()
# Within a life of the tenant a message never comes older than it came before, so the revision decides nothing: it is a
# second lock on the door. A new walk replaces any row: in a new life of the tenant revisions begin again.
UPSERT = f"""INSERT INTO sentby_message AS old ({", ".join(COLUMNS)})
    SELECT {", ".join(COLUMNS)} FROM json_populate_recordset(NULL::sentby_message, %s)
    ON CONFLICT (tenant_id, message_key) DO UPDATE SET {", ".join(f"{each} = new.{each}" for each in COLUMNS[2:])}
    WHERE old.walk <> new.walk OR old.revision <= new.revision""".replace("new.", "excluded.")
# The position is of no use any more: the whole range is read anew.
LOST = {"FEED_POSITION_EXPIRED", "FEED_GENERATION_CHANGED", "FEED_POSITION_AHEAD", "FEED_TOKEN_INVALID",
        "FEED_TOKEN_MISMATCH", "PAGE_TOKEN_INVALID", "PAGE_TOKEN_MISMATCH"}
AGAIN = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED"}  # the last one is our own, of a dead stream
KEEPALIVE = [("grpc.keepalive_time_ms", 20_000), ("grpc.keepalive_timeout_ms", 10_000),
             ("grpc.http2.max_pings_without_data", 0), ("grpc.use_local_subchannel_pool", 1)]
SEVERAL = [("grpc.default_authority", "sentby")]  # of several addresses gRPC would make a name that is none
WALK_SECONDS = 10  # then the other tenants have their turn


class Elsewhere(Exception):
    """The position is not where this process left it: another one works on the same table."""


class Merger:
    def __init__(self, db, channel, tenants, checkpoint):
        self.db, self.tenants, self.checkpoint, self.has_moved = db, tenants, checkpoint, False
        # no generated code: the server itself tells what its messages look like
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        self.type = lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        self.status, self.info = self.type("google.rpc.Status"), self.type("google.rpc.ErrorInfo")
        self.stub = lambda method: channel.unary_stream(
            f"/sentby.v1.AttributionService/{method}", self.type(f"sentby.v1.{method}Request").SerializeToString,
            self.type(f"sentby.v1.{method}Response").FromString)

    def read(self, method, **request):
        """What a stream tells. One that is silent for three checkpoints is dead, and does not say so: it is cut off."""
        call = self.stub(method)(self.type(f"sentby.v1.{method}Request")(**request))
        try:
            while True:
                watchdog = threading.Timer(3 * self.checkpoint, call.cancel)
                watchdog.daemon = True
                watchdog.start()
                try:
                    response = next(call)
                finally:
                    watchdog.cancel()
                yield response
        except StopIteration:
            return
        finally:
            call.cancel()

    def load(self):
        self.db.execute("INSERT INTO sentby_position SELECT tenant, 1, '' FROM unnest(%s::uuid[]) tenant "
                        "ON CONFLICT DO NOTHING", [self.tenants])
        rows = self.db.execute("SELECT tenant_id::text, walk, resume_token, revision FROM sentby_position "
                               "WHERE tenant_id = ANY(%s::uuid[])", [self.tenants])
        self.at = {tenant: position for tenant, *position in rows}

    def move(self, tenant, walk, token, revision):
        """The first statement of every transaction: it also waits for what a killed predecessor may still commit."""
        moved = self.db.execute("UPDATE sentby_position SET walk = %s, resume_token = %s, revision = %s "
                                "WHERE tenant_id = %s AND walk = %s AND resume_token = %s",
                                [walk, token, revision, tenant, *self.at[tenant][:2]])
        if moved.rowcount != 1:
            raise Elsewhere(f"another process moved the position of tenant {tenant}")
        self.at[tenant], self.has_moved = [walk, token, revision], True

    def upsert(self, tenant, attributions):
        def row(of):
            fields = {each: getattr(of, each) or None for each in COLUMNS[1:7] + ["mailbox"]}
            for each in "verdict", "basis":  # VERDICT_CONFLICT is CONFLICT, BASIS_UNSPECIFIED is NULL
                name = of.DESCRIPTOR.fields_by_name[each].enum_type.values_by_number[getattr(of, each)].name
                fields[each] = name.partition("_")[2] if getattr(of, each) else None
            return {**fields, "tenant_id": tenant, "sent_at": of.sent_at.ToJsonString(), "confirmed": of.confirmed,
                    "contradicted": of.contradicted, "candidates": list(of.candidates), "revision": of.revision,
                    "walk": self.at[tenant][0]}
        if rows := [row(of) for of in attributions]:
            self.db.execute(UPSERT, [json.dumps(rows)])  # one statement, however many

    def walk(self, tenant):
        """Reads the whole range, or goes on with it. No change is applied meanwhile, so what the walk has not seen was
        not listed at its revision: it is removed, and the feed from there on adds what has come since."""
        walk, token, _ = self.at[tenant]
        say(tenant, f"walk {walk} {'goes on' if token else 'begins'}")
        until, time_of = time.monotonic() + WALK_SECONDS, self.type("google.protobuf.Timestamp")
        start, end = time_of(seconds=946_684_800), time_of(seconds=4_102_444_799)  # 2000 to 2100: sentby knows no other
        for chunk in self.read("StreamAttributions", tenant_id=tenant, start=start, end=end, resume_token=token):
            is_last = not chunk.resume_token
            with self.db.transaction():
                self.move(tenant, walk, chunk.resume_token or chunk.watch_token, chunk.revision if is_last else None)
                self.upsert(tenant, chunk.attributions)
                if is_last:
                    self.db.execute("DELETE FROM sentby_message WHERE tenant_id = %s AND walk <> %s", [tenant, walk])
            if is_last:
                return say(tenant, f"walk {walk} is complete as of revision {chunk.revision}")
            if time.monotonic() > until:  # it goes on as if it had broken off
                return None

    def watch(self, tenants, follow):
        positions = [{"tenant_id": tenant, "resume_token": self.at[tenant][1]} for tenant in tenants]
        interval = self.type("google.protobuf.Duration")(seconds=self.checkpoint) if follow else None
        for told in self.read("WatchAttributions", positions=positions, follow=follow, checkpoint_interval=interval):
            walk, _, revision = self.at[told.tenant_id]
            if told.after_revision != revision:
                sys.exit(f"tenant {told.tenant_id}: A GAP in the feed, a bug of sentby: the changes behind revision "
                         f"{told.after_revision} came where those behind {revision} were asked for")
            if not told.changes and told.revision == revision:
                continue  # a checkpoint
            # a message that is told twice is told as it is now both times
            now = {change.message_key: change for change in told.changes}.values()
            gone = [change.message_key for change in now if not change.HasField("attribution")]
            with self.db.transaction():
                self.move(told.tenant_id, walk, told.resume_token, told.revision)
                self.upsert(told.tenant_id, [change.attribution for change in now if change.HasField("attribution")])
                self.db.execute("DELETE FROM sentby_message WHERE tenant_id = %s AND message_key = ANY(%s::uuid[])",
                                [told.tenant_id, gone])

    def run(self, once):
        while True:
            self.load()
            walking = None
            try:
                walking = next((tenant for tenant in self.tenants if self.at[tenant][2] is None), None)
                if walking:
                    self.walk(walking)
                walking, is_walking = None, any(revision is None for _, _, revision in self.at.values())
                if watched := [tenant for tenant in self.tenants if self.at[tenant][2] is not None]:
                    self.watch(watched, follow=not (once or is_walking))
                if once and not is_walking:
                    return
            except grpc.RpcError as error:
                reason, tenant = self.why(error)
                if reason not in LOST:
                    raise
                tenant = walking or tenant
                say(tenant, f"{reason}: the whole range is read anew")
                self.move(tenant, self.at[tenant][0] + 1, "", None)

    def why(self, error):
        """The reason to branch on, and whom it is about; none where it was not sentby that answered."""
        status = self.status.FromString(dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b""))
        infos = [self.info.FromString(one.value) for one in status.details if one.Is(self.info.DESCRIPTOR)]
        return (infos[0].reason, infos[0].metadata.get("tenant_id")) if infos else ("", None)


def say(tenant, what):
    print(f"tenant {tenant}: {what}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("server"), parser.add_argument("database"), parser.add_argument("tenants", nargs="+", type=uuid.UUID)
    parser.add_argument("--once", action="store_true", help="end when all tenants are caught up")
    parser.add_argument("--checkpoint", type=int, default=30, help="seconds between signs of life of a quiet feed")
    asked = parser.parse_args()
    for sign in signal.SIGTERM, signal.SIGINT:
        signal.signal(sign, lambda *_: sys.exit(0))  # an open transaction did not happen
    wait = 0.5  # doubled before it is used: never sooner than RetryInfo says: a second
    while True:
        merger = None
        try:
            with psycopg.connect(asked.database, autocommit=True, connect_timeout=10, keepalives_idle=20,
                                 keepalives_interval=5, keepalives_count=3, tcp_user_timeout=30_000) as db, \
                    grpc.insecure_channel(asked.server, KEEPALIVE + ("," in asked.server) * SEVERAL) as channel:
                db.execute("SET idle_in_transaction_session_timeout = '30s'")  # one that is cut off leaves no lock behind
                db.execute(TABLES)
                merger = Merger(db, channel, [str(tenant) for tenant in asked.tenants], asked.checkpoint)
                return merger.run(asked.once)
        except grpc.RpcError as error:
            what = f"{error.code().name} {merger.why(error)[0] if merger else ''}: {error.details()}"
            if error.code().name not in AGAIN:
                sys.exit(what)
        except (psycopg.OperationalError, Elsewhere) as error:  # committed or not: the stored position knows
            what = error
        wait = min(2 * wait, 30) if not (merger and merger.has_moved) else 1
        print(f"again in {wait} s or a little more: {' '.join(str(what).split())}", file=sys.stderr, flush=True)
        time.sleep(wait * random.uniform(1, 1.5))


main()
