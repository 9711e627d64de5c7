"""Keeps a table of a Postgres equal to what sentby lists: merger.py SERVER DATABASE-URL [--once] TENANT-GUID...

Python 3.9 or newer with: pip install grpcio grpcio-reflection 'psycopg[binary]'. SERVER is HOST:PORT, or several
replicas (ipv4:10.0.0.1:50051,10.0.0.2:50051): any of them goes on where another one stopped. It follows until it is
stopped (SIGTERM: exit 0); --once ends when all tenants are caught up, for cron. Kill it when you like and start it
again: what it has and how far it is are committed together, so neither is ever ahead of the other.

While a whole range is read (the first time, or when a position is lost) old rows stay until that walk is complete. So
readers see every message as it was or as it is, and never an empty table; but one that was removed meanwhile is still
there, and one whose send time has just changed may be missing until the feed tells of it, right after the walk.
"""
import argparse, json, random, signal, sys, threading, time, uuid, grpc, psycopg
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

TABLES = """
CREATE TABLE IF NOT EXISTS sentby_message (
    tenant_id uuid, message_key uuid, message_id text, verdict text NOT NULL, basis text, agent text,
    agent_object_id uuid, mailbox text, sent_at timestamptz NOT NULL, confirmed boolean NOT NULL,
    contradicted boolean NOT NULL, candidates text[] NOT NULL, revision bigint NOT NULL,
    walk bigint NOT NULL, -- that of sentby_position when the row was written
    PRIMARY KEY (tenant_id, message_key));
CREATE TABLE IF NOT EXISTS sentby_position (
    tenant_id uuid PRIMARY KEY, walk bigint NOT NULL, -- the number of the last walk over the whole range
    resume_token text NOT NULL, revision bigint) -- NULL: the walk is under way, and the token is the walk's"""
COLUMNS = ("tenant_id message_key message_id verdict basis agent agent_object_id mailbox sent_at confirmed "
           "contradicted candidates revision walk").split()
# In one life of a tenant no message comes older than it came before, so to compare revisions is but a second lock on
# the door. A new walk replaces every row: it may be the first of a new life, in which revisions begin again.
UPSERT = f"""INSERT INTO sentby_message AS old ({", ".join(COLUMNS)})
    SELECT {", ".join(COLUMNS)} FROM json_populate_recordset(NULL::sentby_message, %s)
    ON CONFLICT (tenant_id, message_key) DO UPDATE SET {", ".join(f"{c} = excluded.{c}" for c in COLUMNS[2:])}
    WHERE old.walk <> excluded.walk OR old.revision <= excluded.revision"""
LOST = {"FEED_POSITION_EXPIRED", "FEED_GENERATION_CHANGED", "FEED_POSITION_AHEAD", "FEED_TOKEN_INVALID",
        "FEED_TOKEN_MISMATCH", "PAGE_TOKEN_INVALID", "PAGE_TOKEN_MISMATCH"}  # a position; the last two are a walk's
AGAIN = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED"}  # the last is our own, of a dead stream
OPTIONS = [("grpc.keepalive_time_ms", 20_000), ("grpc.keepalive_timeout_ms", 10_000),
           ("grpc.http2.max_pings_without_data", 0), ("grpc.use_local_subchannel_pool", 1)]
WALK_SECONDS = 10  # then the other tenants have their turn


class Elsewhere(Exception):
    """The position is not where it was left: another merger works on the same table. It must be read again."""


class Merger:
    def __init__(self, db, channel, tenants, checkpoint):
        self.db, self.tenants, self.checkpoint, self.has_moved = db, tenants, checkpoint, False
        # no generated code: the server itself tells what its messages look like
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        self.type = lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        self.channel = channel
        self.status, self.info = self.type("google.rpc.Status"), self.type("google.rpc.ErrorInfo")

    def run(self, once):
        while True:
            self.load()
            walking = next((tenant for tenant in self.tenants if self.at[tenant][2] is None), None)
            try:
                if walking:
                    self.walk(walking)
                walking, watched = None, [tenant for tenant in self.tenants if self.at[tenant][2] is not None]
                is_whole = watched == self.tenants
                if watched:
                    self.watch(watched, follow=is_whole and not once)
                if once and is_whole:
                    return
            except grpc.RpcError as error:
                reason, tenant = self.why(error)
                if reason not in LOST:
                    raise
                tenant = walking or tenant
                say(tenant, f"{reason}: the whole range is read anew")
                self.move(tenant, self.at[tenant][0] + 1, "", None)

    def walk(self, tenant):
        """Reads the whole range, or goes on with it. No change is applied meanwhile, so what the walk has not seen was
        not listed at its revision: it is removed, and the feed from there on brings what came later."""
        walk, token, _ = self.at[tenant]
        say(tenant, f"walk {walk} {'goes on' if token else 'begins'}")
        until, timestamp = time.monotonic() + WALK_SECONDS, self.type("google.protobuf.Timestamp")
        always = {"start": timestamp(seconds=946_684_800), "end": timestamp(seconds=4_102_444_799)}  # 2000 to 2099
        for chunk in self.read("StreamAttributions", tenant_id=tenant, resume_token=token, **always):
            is_last = not chunk.resume_token
            with self.db.transaction():
                self.move(tenant, walk, chunk.resume_token or chunk.watch_token, chunk.revision if is_last else None)
                self.upsert(tenant, chunk.attributions)
                if is_last:
                    self.db.execute("DELETE FROM sentby_message WHERE tenant_id = %s AND walk <> %s", [tenant, walk])
            if is_last:
                return say(tenant, f"walk {walk} is complete as of revision {chunk.revision}")
            if time.monotonic() > until:  # it goes on as one that broke off
                return None

    def watch(self, tenants, follow):
        positions = [{"tenant_id": tenant, "resume_token": self.at[tenant][1]} for tenant in tenants]
        interval = self.type("google.protobuf.Duration")(seconds=self.checkpoint) if follow else None
        for told in self.read("WatchAttributions", positions=positions, follow=follow, checkpoint_interval=interval):
            walk, _, revision = self.at[told.tenant_id]
            if told.after_revision != revision:
                sys.exit(f"tenant {told.tenant_id}: A GAP in the feed, a bug of sentby: asked for what follows on "
                         f"revision {revision}, and what follows on {told.after_revision} came")
            if not told.changes and told.revision == revision:
                continue  # a checkpoint
            now = {change.message_key: change for change in told.changes}.values()  # all are told as they are now
            with self.db.transaction():
                self.move(told.tenant_id, walk, told.resume_token, told.revision)
                self.upsert(told.tenant_id, [change.attribution for change in now if change.HasField("attribution")])
                gone = [change.message_key for change in now if not change.HasField("attribution")]
                self.db.execute("DELETE FROM sentby_message WHERE tenant_id = %s AND message_key = ANY(%s::uuid[])",
                                [told.tenant_id, gone])

    def read(self, method, **request):
        """What a stream tells. One that is silent for three checkpoints is dead and cannot say so: it is cut off."""
        name = f"sentby.v1.{method}"
        Request, Response = self.type(f"{name}Request"), self.type(f"{name}Response")
        call = self.channel.unary_stream(f"/sentby.v1.AttributionService/{method}", Request.SerializeToString,
                                         Response.FromString)(Request(**request))
        try:
            while True:
                watchdog = threading.Timer(3 * self.checkpoint, call.cancel)
                try:
                    watchdog.start()
                    response = next(call)
                finally:
                    watchdog.cancel()
                yield response
        except StopIteration:
            return
        finally:
            call.cancel()

    def load(self):
        """Where each tenant is: walk, token, revision."""
        self.db.execute("INSERT INTO sentby_position SELECT tenant, 1, '' FROM unnest(%s::uuid[]) tenant "
                        "ON CONFLICT DO NOTHING", [self.tenants])
        rows = self.db.execute("SELECT tenant_id::text, walk, resume_token, revision FROM sentby_position "
                               "WHERE tenant_id = ANY(%s::uuid[])", [self.tenants])
        self.at = {tenant: position for tenant, *position in rows}

    def move(self, tenant, *position):
        """First in every transaction: so it waits for what a killed predecessor may still commit, and sees it."""
        moved = self.db.execute("UPDATE sentby_position SET walk = %s, resume_token = %s, revision = %s "
                                "WHERE tenant_id = %s AND walk = %s AND resume_token = %s",
                                [*position, tenant, *self.at[tenant][:2]])
        if moved.rowcount != 1:
            raise Elsewhere(f"another merger moved the position of tenant {tenant}")
        self.at[tenant], self.has_moved = position, True

    def upsert(self, tenant, attributions):
        def name(of, field):  # VERDICT_CONFLICT is CONFLICT; none is NULL
            value = of.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(of, field)]
            return value.name.partition("_")[2] if value.number else None
        rows = [{**{each: getattr(of, each) or None for each in ("message_id", "agent", "agent_object_id", "mailbox")},
                 **{each: getattr(of, each) for each in ("message_key", "confirmed", "contradicted", "revision")},
                 "tenant_id": tenant, "verdict": name(of, "verdict"), "basis": name(of, "basis"),
                 "sent_at": of.sent_at.ToJsonString(), "candidates": list(of.candidates), "walk": self.at[tenant][0]}
                for of in attributions]
        self.db.execute(UPSERT, [json.dumps(rows)])  # one statement, however many

    def why(self, error):
        """The reason to branch on, and whom it is about; none where it was not sentby that answered."""
        status = self.status.FromString(dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b""))
        infos = [self.info.FromString(one.value) for one in status.details if one.Is(self.info.DESCRIPTOR)]
        return (infos[0].reason, infos[0].metadata.get("tenant_id")) if infos else ("", None)


def say(tenant, what):
    print(f"tenant {tenant}: {what}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("server")
    parser.add_argument("database")
    parser.add_argument("tenants", nargs="+", type=lambda text: str(uuid.UUID(text)))
    parser.add_argument("--once", action="store_true", help="end when all tenants are caught up")
    parser.add_argument("--checkpoint", type=int, default=30, help="seconds between signs of life of a quiet feed")
    asked, wait = parser.parse_args(), 0.5
    for sign in signal.SIGTERM, signal.SIGINT:
        signal.signal(sign, lambda *_: sys.exit(0))  # what was not committed did not happen
    # of several addresses gRPC would make a host name that is none
    options = OPTIONS + ([("grpc.default_authority", "sentby")] if "," in asked.server else [])
    while True:
        merger = None
        try:
            with psycopg.connect(asked.database, autocommit=True, connect_timeout=10, keepalives_idle=20,
                                 keepalives_interval=5, keepalives_count=3, tcp_user_timeout=30_000) as db, \
                    grpc.insecure_channel(asked.server, options) as channel:
                db.execute("SET idle_in_transaction_session_timeout = '30s'")  # who is cut off holds no lock for long
                db.execute(TABLES)
                merger = Merger(db, channel, list(dict.fromkeys(asked.tenants)), asked.checkpoint)
                return merger.run(asked.once)
        except grpc.RpcError as error:
            what = f"{error.code().name} {merger.why(error)[0] if merger else ''}: {error.details()}"
            if error.code().name not in AGAIN:
                sys.exit(what)
        except (psycopg.OperationalError, Elsewhere) as error:  # committed or not: the stored position tells
            what = " ".join(str(error).split())
        wait = 1 if merger and merger.has_moved else min(2 * wait, 30)  # a second is what RetryInfo asks for
        print(f"again in {wait} s or a little more: {what}", file=sys.stderr, flush=True)
        time.sleep(wait * random.uniform(1, 1.5))


if __name__ == "__main__":
    main()
