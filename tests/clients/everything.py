"""Drives a running sentby as its three callers do: everything.py SERVER TENANT-GUID

By reflection only, with nothing generated from our .proto files: what grpcio can do here, any gRPC client can. The
tenant must be new to the server. Prints what it asked and what came back; ends with an error where that is wrong.
"""

import base64
import json
import sys
import time

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SUPPORT, ANNA, BEN = "support@contoso.com", "anna@contoso.com", "ben@contoso.com"
SIDS = {SUPPORT: "S-1-5-21-1-2-3-1200", ANNA: "S-1-5-21-1-2-3-1101", BEN: "S-1-5-21-1-2-3-1102"}
GUIDS = {owner: f"5e11b0c5-0000-4000-8000-00000000{sid[-4:]}" for owner, sid in SIDS.items()}


class Server:
    """A server that says itself what it can do. Messages are dicts, in protobuf's JSON."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def message(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def call(self, method, **fields):
        service, name = method.split("/")
        method = self.pool.FindServiceByName(service).methods_by_name[name]
        request = message_factory.GetMessageClass(method.input_type)()
        response = message_factory.GetMessageClass(method.output_type)
        stub = self.channel.unary_unary(f"/{service}/{name}", type(request).SerializeToString, response.FromString)
        answer = stub(json_format.ParseDict(fields, request, descriptor_pool=self.pool), timeout=30)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True, descriptor_pool=self.pool)

    def read(self, method, **fields):
        """Of a method that answers by a stream: all that came."""
        service, name = method.split("/")
        method = self.pool.FindServiceByName(service).methods_by_name[name]
        request = message_factory.GetMessageClass(method.input_type)()
        response = message_factory.GetMessageClass(method.output_type)
        stub = self.channel.unary_stream(f"/{service}/{name}", type(request).SerializeToString, response.FromString)
        return [
            json_format.MessageToDict(each, preserving_proto_field_name=True, descriptor_pool=self.pool)
            for each in stub(json_format.ParseDict(fields, request, descriptor_pool=self.pool), timeout=30)
        ]

    def stream(self, method, messages):
        """Of a bidirectional method: all is sent, and all that came back."""
        service, name = method.split("/")
        method = self.pool.FindServiceByName(service).methods_by_name[name]
        request = message_factory.GetMessageClass(method.input_type)
        response = message_factory.GetMessageClass(method.output_type)
        stub = self.channel.stream_stream(f"/{service}/{name}", request.SerializeToString, response.FromString)
        requests = (json_format.ParseDict(each, request(), descriptor_pool=self.pool) for each in messages)
        return [
            json_format.MessageToDict(each, preserving_proto_field_name=True, descriptor_pool=self.pool)
            for each in stub(requests, timeout=30)
        ]

    def details(self, error):
        """The details of an error by their type, out of the trailer that gRPC has for them."""
        packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
        status = self.message("google.rpc.Status").FromString(packed)
        assert (status.code, status.message) == (error.code().value[0], error.details()), status
        unpacked = {}
        for one in status.details:
            name = one.type_url.removeprefix("type.googleapis.com/")
            detail = self.message(name).FromString(one.value)
            unpacked[name] = json_format.MessageToDict(detail, preserving_proto_field_name=True)
        return unpacked

    def refused(self, method, **fields):
        """Of a call that must fail: the code and the details."""
        try:
            answer = self.call(method, **fields)
        except grpc.RpcError as error:
            details = self.details(error)
            assert details["google.rpc.ErrorInfo"]["domain"] == "sentby", details
            return error.code().name, details
        raise AssertionError(f"{method} took {fields}: {answer}")


def send_as(number, second, who, log, message_id):
    """`who` sent as the shared mailbox; the record is from the log of the mailbox `log`."""
    return {
        "CreationTime": f"2026-03-02T09:14:{second:02}",
        "Id": f"a0d17000-0000-4000-8000-{number:012}",
        "Operation": "SendAs",
        "OrganizationId": tenant,
        "RecordType": 2,
        "ResultStatus": "Succeeded",
        "UserKey": f"10032001266C{SIDS[who][-4:]}",
        "UserType": 0,
        "Version": 1,
        "Workload": "Exchange",
        "UserId": who,
        "InternalLogonType": 0,
        "LogonType": 2,
        "LogonUserSid": SIDS[who],
        "MailboxGuid": GUIDS[log],
        "MailboxOwnerSid": SIDS[log],
        "MailboxOwnerUPN": log,
        "SendAsUserSmtp": SUPPORT,
        "SendAsUserMailboxGuid": GUIDS[SUPPORT],
        "Item": {"Id": "Unknown", "InternetMessageId": f"<{message_id}>", "Subject": "Re: Your order"},
    }


def has(answer, **expected):
    """The answer has these fields with these values; an expected `None` is an unset field."""
    found = {name: answer.get(name) for name in expected}
    assert found == expected, f"expected {expected}, found {found} in {json.dumps(answer, indent=2)}"


def say(what, came):
    print(f"{what}\n    {came}", flush=True)


def any_orchestrator():
    for _ in range(200):
        health = server.call("grpc.health.v1.Health/Check")
        if health == {"status": "SERVING"}:
            break
        time.sleep(0.1)
    has(health, status="SERVING")
    has(server.call("grpc.health.v1.Health/Check", service="sentby.v1.IngestService"), status="SERVING")
    say("health", health["status"])


def a_curious_person():
    services = sorted(server.database.get_services())
    for service in "TenantService", "IngestService", "AttributionService", "CoverageService":
        assert f"sentby.v1.{service}" in services, services
    assert "grpc.health.v1.Health" in services, services
    assert any(service.startswith("grpc.reflection.") for service in services), services
    say("list services", " ".join(services))


def the_onboarding_service():
    registration = {"tenant_id": tenant, "display_name": "Contoso", "consented_at": "2026-01-01T00:00:00Z"}
    created = server.call("sentby.v1.TenantService/RegisterTenant", **registration)
    has(created, outcome="OUTCOME_CREATED")
    has(created["tenant"], state="TENANT_STATE_ACTIVE", **registration)
    again = server.call("sentby.v1.TenantService/RegisterTenant", **registration)
    has(again, outcome="OUTCOME_UNCHANGED")
    say("RegisterTenant, twice", f"{created['outcome']}, {again['outcome']}")

    mailboxes = [
        {"address": "Support@Contoso.com", "kind": "MAILBOX_KIND_SHARED", "aliases": ["help@contoso.com"]},
        {"address": ANNA, "kind": "MAILBOX_KIND_USER"},
    ]
    put = server.call("sentby.v1.TenantService/PutMailboxes", tenant_id=tenant, mailboxes=mailboxes)
    has(put, added=2, changed=None, removed=None)
    say("PutMailboxes", put)


def the_collector():
    """Returns the revision that its blob is in."""
    records = [
        # both logs have the first message, and name the same person
        send_as(1, 5, ANNA, SUPPORT, "both@contoso.com"),
        send_as(2, 7, ANNA, ANNA, "both@contoso.com"),
        # one log each has the others
        *(send_as(number, number + 7, BEN, SUPPORT, f"one-{number}@contoso.com") for number in range(3, 7)),
        {**send_as(7, 20, ANNA, SUPPORT, "both@contoso.com"), "Operation": "MailItemsAccessed"},
        {**send_as(8, 21, ANNA, SUPPORT, "bad@contoso.com"), "CreationTime": "yesterday"},
    ]
    blob = base64.b64encode(json.dumps(records).encode()).decode()
    done = server.call("sentby.v1.IngestService/IngestAuditBatch", tenant_id=tenant, content=blob)
    has(done["counts"], received="8", kept="6", repeated=None, ignored="1", quarantined="1")
    has(done, ignored_operations={"MailItemsAccessed": "1"}, changed_messages="5", problems_omitted=None)
    [problem] = done["problems"]
    has(problem, index="7", reason="QUARANTINE_REASON_INVALID_FIELD")
    say("IngestAuditBatch", done)

    again = server.call("sentby.v1.IngestService/IngestAuditBatch", tenant_id=tenant, content=blob)
    has(again["counts"], received="8", kept=None, repeated="6")
    has(again, revision=done["revision"], changed_messages=None)
    say("IngestAuditBatch of the same", again["counts"])
    return done["revision"]


def a_collector_in_a_hurry():
    """A stream, a typed event, a request id that comes twice, receipts, and what is in quarantine."""
    event = {
        "record_id": "a0d17000-0000-4000-8000-000000000100",
        "time": "2026-03-04T10:00:00Z",
        "operation": "OPERATION_SEND_AS",
        "user_id": BEN,
        "logon_type": 2,
        "logon_user_sid": SIDS[BEN],
        "mailbox_owner_address": SUPPORT,
        "mailbox_owner_sid": SIDS[SUPPORT],
        "internet_message_id": "<typed@contoso.com>",
    }
    named = {"tenant_id": tenant, "request_id": "blob-1", "source": "everything.py", "events": [event]}
    messages = [
        {"sequence": "1", "batch": named},
        {"sequence": "2", "batch": {"tenant_id": "contoso.com"}},
        {"sequence": "3", "batch": {"tenant_id": tenant, "content": base64.b64encode(b'{"Id": "cut off').decode()}},
    ]
    answers = {each["sequence"]: each for each in server.stream("sentby.v1.IngestService/StreamAuditBatches", messages)}
    assert sorted(answers) == ["1", "2", "3"], answers
    has(answers["1"]["response"]["counts"], received="1", kept="1")
    has(answers["2"]["error"], code=3, reason="ERROR_REASON_INVALID_FIELD")
    assert answers["2"]["error"]["field_violations"][0]["field"] == "tenant_id", answers
    has(answers["3"]["response"]["counts"], quarantined="1")
    say("StreamAuditBatches", answers)

    got = server.call("sentby.v1.AttributionService/GetAttribution", tenant_id=tenant, message_id="typed@contoso.com")
    has(got["attribution"], agent=BEN, mailbox=SUPPORT, basis="BASIS_MAILBOX_SEND_AS")

    again = server.call("sentby.v1.IngestService/IngestAuditBatch", **named)
    assert again == {**answers["1"]["response"], "replayed": True}, again
    code, details = server.refused("sentby.v1.IngestService/IngestAuditBatch", **{**named, "events": []})
    assert (code, details["google.rpc.ErrorInfo"]["reason"]) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED"), details
    say("IngestAuditBatch of a known request id", f"replayed; with another content {code}")

    asked = {"tenant_id": tenant, "request_id": "blob-1"}
    [receipt] = server.call("sentby.v1.IngestService/ListAuditBatches", **asked)["batches"]
    has(receipt, source="everything.py", response=answers["1"]["response"])
    say("ListAuditBatches", receipt)

    asked = {"tenant_id": tenant, "reason": "QUARANTINE_REASON_MALFORMED", "include_content": True}
    [record] = server.call("sentby.v1.IngestService/ListQuarantinedRecords", **asked)["records"]
    assert base64.b64decode(record["content"]) == b'{"Id": "cut off', record
    asked = {"tenant_id": tenant, "digests": [record["digest"]]}
    retried = server.call("sentby.v1.IngestService/RetryQuarantinedRecords", **asked)
    has(retried, retried="1", still_quarantined="1", kept=None)
    say("RetryQuarantinedRecords", retried)


def the_metrics_merger(revision):
    both = {
        "message_id": "both@contoso.com",
        "verdict": "VERDICT_ATTRIBUTED",
        "agent": ANNA,
        "mailbox": SUPPORT,
        "basis": "BASIS_MAILBOX_SEND_AS",
        "confirmed": True,
        "contradicted": None,
        "sent_at": "2026-03-02T09:14:05Z",
        "revision": revision,
    }
    asked = {"tenant_id": tenant, "message_id": "<both@contoso.com>", "at_least_revision": revision}
    got = server.call("sentby.v1.AttributionService/GetAttribution", **asked)
    has(got["attribution"], **both)
    say("GetAttribution", got["attribution"])

    asked = {"tenant_id": tenant, "message_ids": ["lost@contoso.com", "both@contoso.com", "one-3@contoso.com"]}
    miss, hit, one = server.call("sentby.v1.AttributionService/LookupAttributions", **asked)["attributions"]
    has(miss, message_id="lost@contoso.com", verdict="VERDICT_PENDING", agent=None)
    has(miss, miss_reason="MISS_REASON_NO_EVIDENCE_YET")
    has(hit, **both)
    has(one, agent=BEN, confirmed=None)
    say("LookupAttributions", ", ".join(f"{each['message_id']} {each['verdict']}" for each in (miss, hit, one)))

    # [start, end): the last message is sent at `end`, so it is not in it
    asked = {"tenant_id": tenant, "start": "2026-03-02T09:14:05Z", "end": "2026-03-02T09:14:13Z", "page_size": 2}
    pages = [server.call("sentby.v1.AttributionService/ListAttributions", **asked)]
    while token := pages[-1].get("next_page_token"):
        pages.append(server.call("sentby.v1.AttributionService/ListAttributions", page_token=token, **asked))
    listed = [[each["message_id"].partition("@")[0] for each in page["attributions"]] for page in pages]
    assert listed == [["both", "one-3"], ["one-4", "one-5"]], listed
    assert {page["revision"] for page in pages} == {revision}, pages
    say("ListAttributions, by pages of 2", listed)

    del asked["page_size"]
    chunks = server.read("sentby.v1.AttributionService/StreamAttributions", chunk_size=3, **asked)
    streamed = [[each["message_id"].partition("@")[0] for each in chunk["attributions"]] for chunk in chunks]
    assert streamed == [["both", "one-3", "one-4"], ["one-5"]], streamed
    assert {chunk["revision"] for chunk in chunks} == {revision}, chunks
    has(chunks[-1], resume_token=None)
    token = chunks[0]["resume_token"]
    resumed = server.read("sentby.v1.AttributionService/StreamAttributions", resume_token=token, **asked)
    for chunk in chunks + resumed:  # of one position, but each is sealed anew
        assert chunk.pop("watch_token"), chunk
    assert resumed == chunks[1:], resumed
    say("StreamAttributions, by chunks of 3", streamed)

    asked = {"tenant_id": tenant, "message_id": "both@contoso.com"}
    explained = server.call("sentby.v1.AttributionService/ExplainAttribution", **asked)
    has(explained["attribution"], **both)
    assert [each["side"] for each in explained["evidence"]] == ["SIDE_MAILBOX", "SIDE_AGENT"], explained
    assert all(each["actor"] == ANNA for each in explained["evidence"]), explained
    say("ExplainAttribution", "\n    ".join(explained["reasoning"]))


def what_is_covered():
    window = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-08T00:00:00Z", "clock": "WINDOW_CLOCK_CONTENT_CREATED"}
    covers = {"tenant_id": tenant, "source": "a collector", "window": {**window, "outcome": "WINDOW_OUTCOME_COMPLETE"}}
    revision = server.call("sentby.v1.IngestService/IngestAuditBatch", **covers)["revision"]
    covered = server.call("sentby.v1.CoverageService/GetCoverage", tenant_id=tenant, at_least_revision=revision)
    has(covered, complete_since="2026-03-01T00:00:00Z", complete_through="2026-03-07T00:00:00Z")
    say("GetCoverage", f"complete through {covered['complete_through']}")

    asked = {"message_id": "lost@contoso.com", "sent_at": "2026-03-05T12:00:00Z"}
    asked = {"tenant_id": tenant, "queries": [asked], "at_least_revision": revision}
    (miss,) = server.call("sentby.v1.AttributionService/LookupAttributions", **asked)["attributions"]
    has(miss, verdict="VERDICT_NO_EVIDENCE", miss_reason="MISS_REASON_COMPLETELY_COVERED")
    say("LookupAttributions with sent_at", f"{miss['verdict']} {miss['miss_reason']}")


def what_is_wrong():
    export = {"PrimarySmtpAddress": "sales@contoso.com", "RecipientTypeDetails": "SharedMailbox", "AuditLogAgeLimit": "0"}
    content = base64.b64encode(json.dumps(export).encode()).decode()
    asked = {"tenant_id": tenant, "content": content, "captured_at": "2026-03-05T12:00:00Z"}
    checked = server.call("sentby.v1.CoverageService/CheckAuditSettings", **asked)
    listed = {"tenant_id": tenant, "mailbox": "sales@contoso.com", "at_least_revision": checked["revision"]}
    found = server.call("sentby.v1.CoverageService/ListFindings", **listed)["findings"]
    (retention,) = [each for each in found if each["cause"] == "FINDING_CAUSE_NO_RETENTION"]
    has(retention, severity="FINDING_SEVERITY_WARNING", mailbox="sales@contoso.com")
    say("ListFindings", f"{retention['meaning']} {retention['commands'][0]}")


def errors_are_told():
    code, details = server.refused(
        "sentby.v1.AttributionService/GetAttribution", tenant_id=tenant, message_id="lost@contoso.com"
    )
    info = details["google.rpc.ErrorInfo"]
    assert (code, info["reason"]) == ("NOT_FOUND", "NO_EVIDENCE_YET"), (code, details)
    say("GetAttribution of a miss", f"{code} {info}")

    code, details = server.refused("sentby.v1.IngestService/IngestAuditBatch", tenant_id="contoso.com")
    info, violations = details["google.rpc.ErrorInfo"], details["google.rpc.BadRequest"]["field_violations"]
    assert (code, info["reason"]) == ("INVALID_ARGUMENT", "INVALID_FIELD"), (code, details)
    assert violations[0]["field"] == "tenant_id", details
    say("IngestAuditBatch for no GUID", f"{code} {info} {violations}")

    asked = {"tenant_id": tenant, "message_id": "both@contoso.com", "at_least_revision": 1_000_000}
    code, details = server.refused("sentby.v1.AttributionService/GetAttribution", **asked)
    info = details["google.rpc.ErrorInfo"]
    assert (code, info["reason"]) == ("UNAVAILABLE", "REVISION_NOT_REACHED"), (code, details)
    say("GetAttribution of a revision to come", f"{code} {info} {details['google.rpc.RetryInfo']}")


address, tenant = sys.argv[1:]
server = Server(address)
any_orchestrator()
a_curious_person()
the_onboarding_service()
revision = the_collector()
the_metrics_merger(revision)
a_collector_in_a_hurry()
errors_are_told()
what_is_covered()
what_is_wrong()
print("everything is as expected")
