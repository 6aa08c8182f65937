"""No field of any request makes a fault of the broker, or leaves a traceback in its log."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID
from google.protobuf import message_factory

from res_federation.api.v1 import (
    accounting_pb2,
    agents_pb2,
    audit_pb2,
    enrolment_pb2,
    identity_pb2,
    jobs_pb2,
    sites_pb2,
)
from res_federation.client import job_from_script
from res_federation.errors import InvalidArgument, PermissionDenied
from res_federation.model.capacity import CapacityReport, FreeNodes, PartitionCapacity
from res_federation.model.identifiers import RunToken
from res_federation.model.job import RunObservation
from res_federation.model.job_state import JobState
from res_federation.security.authority import new_site_key, request_key, site_request
from res_federation.security.credentials import find
from res_federation.wire import exchange
from res_federation.wire.specs import spec_to_message
from res_federation.wire.times import to_duration, to_timestamp
from tests.security import hostile
from tests.security.sites import CSUC, MEMBERS, Broker, broker, door, stream
from tests.security.test_roles_matrix import METHODS

SEED, RANDOM = 5, 2
FAULTS = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS)
SCRIPT = "#!/bin/bash\n#SBATCH -t 10 -N 1 -n 2 -c 2 --mem=1G --array=1-4%2\necho hi\n"
JOB = "jobs/01J0000000000000000000000A"


def good() -> dict[str, Any]:
    """Return a request of each kind that could be answered well, to spoil one field of it."""
    spec = spec_to_message(job_from_script(SCRIPT, options=("--gres=gpu:2", "-L", "matlab")))
    spec.environment.add(name="A", value="b")
    now, later = to_timestamp(time.time()), to_timestamp(time.time() + 1e6)
    grant = accounting_pb2.Grant(
        name="grants/g", project="projects/p", pool="pools/res", machine="csuc", begin_time=now,
        end_time=later, core_seconds=10, accelerator_seconds=10,
    )  # fmt: skip
    usage = accounting_pb2.Usage(grant="local", once="x", core_seconds=1)
    return {
        "JobService/CreateJob": jobs_pb2.CreateJobRequest(spec=spec, request_id="r"),
        "JobService/DryRunJob": jobs_pb2.DryRunJobRequest(spec=spec),
        "JobService/ListJobs": jobs_pb2.ListJobsRequest(filter="user=ana", page_size=3),
        "JobService/CancelJob": jobs_pb2.CancelJobRequest(name=JOB, task=1),
        "JobService/ReadOutput": jobs_pb2.ReadOutputRequest(name=JOB, task=1),
        "JobService/ShareJob": jobs_pb2.ShareJobRequest(name=JOB, user="ana@people"),
        "SiteService/DrainSite": sites_pb2.DrainSiteRequest(name="sites/fir", reason="x"),
        "EnrolmentService/CreateInvitation": enrolment_pb2.CreateInvitationRequest(
            site="sites/csuc", lifetime=to_duration(60.0)
        ),
        "EnrolmentService/EnrolSite": enrolment_pb2.EnrolSiteRequest(
            token="x", site="sites/csuc", csr_pem=site_request(new_site_key(), CSUC)
        ),
        "EnrolmentService/RevokeCertificates": enrolment_pb2.RevokeCertificatesRequest(
            name="certificates/" + "0" * 40, reason="x"
        ),
        "IdentityService/CreateMachineToken": identity_pb2.CreateMachineTokenRequest(
            label="ci", project="p", scopes=["read"], lifetime=to_duration(100.0)
        ),
        "AccountingService/SavePool": accounting_pb2.SavePoolRequest(
            pool=accounting_pb2.Pool(name="pools/res", kind="res")
        ),
        "AccountingService/SaveProject": accounting_pb2.SaveProjectRequest(
            project=accounting_pb2.Project(name="projects/p", title="p")
        ),
        "AccountingService/SetMember": accounting_pb2.SetMemberRequest(
            member=accounting_pb2.Member(
                project="projects/p", issuer="people", subject="ana", role="user"
            )
        ),
        "AccountingService/SaveGrant": accounting_pb2.SaveGrantRequest(grant=grant),
        "AccountingService/ImportUsage": accounting_pb2.ImportUsageRequest(usage=[usage]),
        "AccountingService/ListLedger": accounting_pb2.ListLedgerRequest(project="local"),
        "AccountingService/RecordExchange": accounting_pb2.RecordExchangeRequest(
            giver="sites/csuc", taker="sites/iac", units=5
        ),
        "AuditService/ListEntries": audit_pb2.ListEntriesRequest(page_size=5, page_token="3"),
        "AuditService/ExportEntries": audit_pb2.ExportEntriesRequest(since_time=now),
    }


async def code(channel: grpc.aio.Channel, method: Any, message: Any, metadata: Any) -> Any:
    """Make a call; of a stream the first answer is waited for a little."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    words: dict[str, Any] = {
        "request_serializer": lambda one: one.SerializeToString(),
        "response_deserializer": message_factory.GetMessageClass(method.output_type).FromString,
    }
    given = {"metadata": metadata, "timeout": 0.1 if method.server_streaming else 30}
    try:
        if method.client_streaming:
            await channel.stream_unary(path, **words)(iter([message]), **given)
        elif not method.server_streaming:
            await channel.unary_unary(path, **words)(message, **given)
        else:
            answers = channel.unary_stream(path, **words)(message, **given)
            await answers.read()
            answers.cancel()
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


async def test_no_field_of_any_call_makes_the_broker_stumble(tmp_path, caplog, capsys):
    wrong, asked, draw = [], 0, random.Random(SEED)
    async with broker(tmp_path) as running:
        credentials = find(running.address)
        metadata = tuple(credentials.metadata())
        tls = grpc.ssl_channel_credentials(credentials.ca_pem)
        templates = good()
        async with grpc.aio.secure_channel(running.address, tls) as channel:
            for name, (service, method) in sorted(METHODS.items()):
                if not service.full_name.startswith("res_federation"):
                    continue
                messages = [hostile.message(method.input_type, draw) for _ in range(RANDOM)]
                if name in templates:
                    messages += hostile.changed(templates[name], draw)
                for message in messages:
                    told, why = await code(channel, method, message, metadata)
                    asked += 1
                    if told in FAULTS:
                        wrong.append(f"{name}: {told} {why}\n{message}"[:1500])
            # it serves on
            job = templates["JobService/CreateJob"]
            method = METHODS["JobService/CreateJob"][1]
            assert (await code(channel, method, job, metadata))[0] is grpc.StatusCode.OK
        assert not running.task.done()
    assert not wrong, "\n\n".join(wrong)
    assert asked > 250
    quiet(caplog, capsys)


def quiet(caplog: Any, capsys: Any) -> None:
    """Check that nothing was logged that nobody thought of."""
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    faults = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert not faults, faults


def an_exchange() -> agents_pb2.ConnectRequest:
    """Return what an honest agent says, with some of everything in it."""
    site = next(one for one in MEMBERS if one.id == CSUC)
    parts = [
        PartitionCapacity(one.id, one.shape, one.nodes or 1, available=1,
                          free=(FreeNodes(1, one.shape.cores or 0, 1000, 0),))
        for one in site.partitions[:2] if one.shape is not None
    ]  # fmt: skip
    run = RunObservation(
        RunToken("01J0000000000000000000000A-1"), JobState.RUNNING, started=time.time()
    )
    told = CapacityReport(CSUC, 3, time.time(), 60.0, tuple(parts))
    return agents_pb2.ConnectRequest(
        report=exchange.report_to_message(told, (run,), "journal", True)
    )


async def answer(running: Broker, papers: Any, message: Any) -> Any:
    """Say *message* as the first or the second of a stream; return how it ended, if it did."""
    async with stream(running.agents, papers, running.authority.ca_pem) as one:
        if message.WhichOneof("body") != "report":
            await one.say(an_exchange())
        await one.say(message)
        try:
            async with asyncio.timeout(0.15):
                while await one.call.read() is not grpc.aio.EOF:
                    pass
                return await one.call.code(), await one.call.details()
        except TimeoutError:
            return grpc.StatusCode.OK, ""
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details()


def exchanges(draw: random.Random) -> Iterator[Any]:
    yield from hostile.changed(an_exchange(), draw)
    piece = agents_pb2.OutputPiece(request_id="r1", data=b"x", offset=1, end=True)
    yield from hostile.changed(agents_pb2.ConnectRequest(output=piece), draw)
    renewal = agents_pb2.RenewalRequest(csr_pem=site_request(new_site_key(), CSUC))
    yield from hostile.changed(agents_pb2.ConnectRequest(renewal=renewal), draw)
    for _ in range(RANDOM * 4):
        yield hostile.message(agents_pb2.ConnectRequest.DESCRIPTOR, draw)


async def test_no_field_of_an_exchange_makes_the_broker_stumble(tmp_path, caplog, capsys):
    wrong, asked, draw = [], 0, random.Random(SEED)
    async with broker(tmp_path / "home") as running:
        papers = await running.enrolled(CSUC, tmp_path / "csuc")
        for message in exchanges(draw):
            told, why = await answer(running, papers, message)
            asked += 1
            if told in FAULTS:
                wrong.append(f"{told} {why}\n{message}"[:1500])
        assert not running.task.done()
        assert (await answer(running, papers, an_exchange()))[0] is grpc.StatusCode.OK
    assert not wrong, "\n\n".join(wrong)
    assert asked > 60
    quiet(caplog, capsys)


GARBAGE = (b"\xff\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f")
"""A tag that is none, and a field that is longer than all of it."""
OPEN = ("EnrolmentService/EnrolSite", "EnrolmentService/GetAuthority", "AuditService/GetKey")
DENIED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


async def test_what_is_no_message_is_refused_as_that_at_both_ports(tmp_path, caplog, capsys):
    async with broker(tmp_path / "home") as running:
        credentials = find(running.address)
        signed, nobody = tuple(credentials.metadata()), ()
        tls = grpc.ssl_channel_credentials(credentials.ca_pem)
        async with grpc.aio.secure_channel(running.address, tls) as channel:
            for name, (service, method) in METHODS.items():
                anybody = name in OPEN or name.startswith("Health/")
                for metadata, data in ((one, two) for one in (signed, nobody) for two in GARBAGE):
                    told = await garbage(channel, service, method, data, metadata)
                    if name == "Health/List":  # closed
                        assert told in DENIED
                    elif metadata or anybody:
                        assert told is grpc.StatusCode.INVALID_ARGUMENT, name
                    else:
                        assert told in DENIED, name
        papers = await running.enrolled(CSUC, tmp_path / "csuc")
        path = "/res_federation.api.v1.AgentService/Connect"
        honest = an_exchange().SerializeToString()
        async with door(running.agents, papers, running.authority.ca_pem) as channel:
            for said in ([GARBAGE[0]], [honest, GARBAGE[0]]):
                call: Any = channel.stream_stream(path)
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await ended(call(iter(said), timeout=20))
                assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    quiet(caplog, capsys)


async def ended(call: Any) -> None:
    """Read to the end."""
    while await call.read() is not grpc.aio.EOF:
        pass


async def garbage(channel: Any, service: Any, method: Any, data: bytes, metadata: Any) -> Any:
    """Send bytes in place of a message; return the code."""
    path = f"/{service.full_name}/{method.name}"
    given = {"metadata": metadata, "timeout": 20}
    try:
        if method.server_streaming and method.client_streaming:
            await channel.stream_stream(path)(iter([data]), **given).read()
        elif method.server_streaming:
            await channel.unary_stream(path)(data, **given).read()
        elif method.client_streaming:
            await channel.stream_unary(path)(iter([data]), **given)
        else:
            await channel.unary_unary(path)(data, **given)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def requests(draw: random.Random) -> Iterator[str]:
    """Yield signing requests of every kind of key, then with bytes of them changed."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "csuc")])
    site = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("resfed://site/csuc")])
    keys: tuple[Any, ...] = (
        rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(), dsa.generate_private_key(2048),
        *(ec.generate_private_key(curve()) for curve in (ec.SECP256K1, ec.SECP384R1)),
    )  # fmt: skip
    made = []
    for key in keys:
        plain = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        wish = x509.CertificateSigningRequestBuilder().subject_name(name)
        signed = wish.add_extension(site, critical=False).sign(
            key, None if plain else hashes.SHA256()
        )
        made.append(signed.public_bytes(serialization.Encoding.DER))
    ours = x509.load_pem_x509_csr(site_request(new_site_key(), CSUC).encode())
    drawn = [*made, ours.public_bytes(serialization.Encoding.DER)]
    for number in range(len(made) + 3000):
        der = bytearray(made[number] if number < len(made) else draw.choice(drawn))
        if number >= len(made):
            der[draw.randrange(len(der))] = draw.randrange(256)
        body = base64.encodebytes(bytes(der)).decode()
        yield f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


def test_no_signing_request_is_more_than_refused():
    taken = 0
    for pem in requests(random.Random(SEED)):
        try:
            request_key(pem, CSUC)
            taken += 1
        except (InvalidArgument, PermissionDenied):
            continue
    assert taken < 50  # a byte of what is not signed, or the same byte again


async def test_who_hangs_up_leaves_nobody_waiting(tmp_path):
    async with broker(tmp_path / "home") as running:
        papers = await running.enrolled(CSUC, tmp_path / "csuc")
        before = -1
        for _ in range(3):
            for _ in range(10):
                async with stream(running.agents, papers, running.authority.ca_pem) as one:
                    await one.say(an_exchange())
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            after = len([one for one in asyncio.all_tasks() if "Queue.get" in repr(one)])
            assert before in (-1, after)
            before = after
