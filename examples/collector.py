"""Posts content blobs as the Management Activity API returned them: collector.py SERVER TENANT-GUID FILE..."""
import random, sys, time, grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

server, tenant, *files = sys.argv[1:]
channel = grpc.insecure_channel(server)
grpc.channel_ready_future(channel).result(timeout=60)
# no generated code: the server itself tells what its messages look like
pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
Request, Response, Status, ErrorInfo = (message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in
    ("sentby.v1.IngestAuditBatchRequest", "sentby.v1.IngestAuditBatchResponse", "google.rpc.Status", "google.rpc.ErrorInfo"))
post = channel.unary_unary("/sentby.v1.IngestService/IngestAuditBatch", Request.SerializeToString, Response.FromString)

def reason(error):  # a name to branch on; none where it was not sentby that answered
    status = Status.FromString(dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b""))
    return next((ErrorInfo.FromString(one.value).reason for one in status.details if one.Is(ErrorInfo.DESCRIPTOR)), "")

for file in files:
    batch = Request(tenant_id=tenant, content=open(file, "rb").read())
    for wait in 1, 2, 4, 8, 16, None:  # seconds, or a little more
        try:
            counts = post(batch, timeout=60).counts
            print(f"{file}:", ", ".join(f"{of.name} {getattr(counts, of.name)}" for of in counts.DESCRIPTOR.fields))
            break
        except grpc.RpcError as error:  # stored or not, who knows: sent again, the stored state will be the same
            if wait is None or error.code().name not in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"):
                sys.exit(f"{file}: {error.code().name} {reason(error)}: {error.details()}")
            time.sleep(wait * random.uniform(1, 1.5))  # never sooner than RetryInfo says: a second
