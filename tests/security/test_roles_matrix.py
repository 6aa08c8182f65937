"""Every call x every role x own and others' objects, asked of a real broker.

What is expected stands here in plain letters, and is not made from the product's table.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from res_federation.api.v1 import (
    accounting_pb2,
    accounting_pb2_grpc,
    audit_pb2,
    enrolment_pb2,
    identity_pb2,
    identity_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    sites_pb2,
    specs_pb2,
)
from res_federation.broker.server import SERVICES
from tests.security import people
from tests.security.federation import Broker, broker
from tests.security.stored_jobs import ANA, EVE, LENT, MISSING, OPEN, WAITS, filled, shared

CALLERS = "anon stolen nobody ana bea lia eve sam ivo pia olga odi bot mute".split()
"""Who calls:

anon    without a token            stolen  with one that was changed
nobody  logged in, without a role  ana     user of p, whose job it is
bea     user of p                  lia     lead of p
eve     user of q                  sam     administrator of csuc, where the job is
ivo     administrator of iac       pia     planner
olga    operator                   odi     auditor
bot     machine account of p       mute    machine account of p, for another scope
"""

# . allowed   U not authenticated   P permission denied   N not found (only who sees all learns it)
# F allowed, and refused for another reason (a job that has printed nothing, a bad request)
EXPECTED = """
call                                 object   anon stolen nobody ana bea lia eve sam ivo pia olga odi bot mute
JobService/CreateJob                 in-p     U    U      P      .   .   .   P   P   P   P   P    P   .   P
JobService/CreateJob                 in-q     U    U      P      P   P   P   .   P   P   P   P    P   P   P
JobService/CreateJob                 unsaid   U    U      P      .   .   .   .   P   P   P   P    P   .   P
JobService/CreateJobs                in-p     U    U      P      .   .   .   P   P   P   P   P    P   .   P
JobService/DryRunJob                 in-p     U    U      P      .   .   .   P   P   P   P   P    P   .   P
JobService/GetJob                    ana's    U    U      P      .   .   .   P   .   P   .   .    P   .   P
JobService/GetJob                    eve's    U    U      P      P   P   P   .   P   P   .   .    P   P   P
JobService/GetJob                    missing  U    U      P      P   P   P   P   P   P   P   N    P   P   P
JobService/GetJob+script             ana's    U    U      P      .   P   .   P   P   P   P   P    P   P   P
JobService/ListJobs                  all      U    U      P      .   .   .   .   .   .   .   .    P   .   P
JobService/WatchJobs                 ana's    U    U      P      .   .   .   P   .   P   .   .    P   .   P
JobService/WatchJobs                 missing  U    U      P      P   P   P   P   P   P   P   N    P   P   P
JobService/ExplainJob                ana's    U    U      P      .   .   .   P   .   P   .   .    P   .   P
JobService/ExplainJob                eve's    U    U      P      P   P   P   .   P   P   .   .    P   P   P
JobService/CancelJob                 ana's    U    U      P      .   P   .   P   P   P   P   .    P   P   P
JobService/CancelJob                 bot's    U    U      P      P   P   .   P   P   P   P   .    P   .   P
JobService/CancelJob                 missing  U    U      P      P   P   P   P   P   P   P   N    P   P   P
JobService/ReadOutput                waits    U    U      P      F   P   F   P   P   P   P   P    P   P   P
JobService/ReadOutput                missing  U    U      P      P   P   P   P   P   P   P   P    P   P   P
JobService/GetJob                    lent     U    U      P      .   .   .   .   P   P   .   .    P   .   P
JobService/GetJob+script             lent     U    U      P      .   P   .   .   P   P   P   P    P   P   P
JobService/GetJob+script             open     U    U      P      .   .   .   .   P   P   P   P    P   .   P
JobService/WatchJobs                 lent     U    U      P      .   .   .   .   P   P   .   .    P   .   P
JobService/ExplainJob                open     U    U      P      .   .   .   .   P   P   .   .    P   .   P
JobService/ReadOutput                lent     U    U      P      F   P   F   F   P   P   P   P    P   P   P
JobService/ReadOutput                open     U    U      P      F   F   F   F   P   P   P   P    P   P   F
JobService/CancelJob                 lent     U    U      P      .   P   .   P   P   P   P   .    P   P   P
JobService/CancelJob                 open     U    U      P      .   P   .   P   P   P   P   .    P   P   P
JobService/ShareJob                  ana's    U    U      P      .   P   .   P   P   P   P   P    P   P   P
JobService/ShareJob                  eve's    U    U      P      P   P   P   .   P   P   P   P    P   P   P
JobService/ShareJob                  bot's    U    U      P      P   P   .   P   P   P   P   P    P   P   P
JobService/ShareJob                  open     U    U      P      .   P   .   P   P   P   P   P    P   P   P
JobService/ShareJob                  missing  U    U      P      P   P   P   P   P   P   P   P    P   P   P
JobService/UnshareJob                lent     U    U      P      .   P   .   P   P   P   P   P    P   P   P
JobService/UnshareJob                missing  U    U      P      P   P   P   P   P   P   P   P    P   P   P
SiteService/ListSites                all      U    U      P      .   .   .   .   .   .   .   .    .   P   P
SiteService/GetSite                  csuc     U    U      P      .   .   .   .   .   .   .   .    .   P   P
SiteService/WatchCapacity            csuc     U    U      P      .   .   .   .   .   .   .   .    .   P   P
SiteService/DrainSite                csuc     U    U      P      P   P   P   P   .   P   P   .    P   P   P
SiteService/DrainSite                missing  U    U      P      P   P   P   P   P   P   P   N    P   P   P
SiteService/ResumeSite               csuc     U    U      P      P   P   P   P   .   P   P   .    P   P   P
EnrolmentService/GetAuthority        none     .    .      .      .   .   .   .   .   .   .   .    .   .   .
EnrolmentService/EnrolSite           bad      P    P      P      P   P   P   P   P   P   P   P    P   P   P
EnrolmentService/CreateInvitation    csuc     U    U      P      P   P   P   P   .   P   P   .    P   P   P
EnrolmentService/ListCertificates    csuc     U    U      P      P   P   P   P   .   P   P   .    .   P   P
EnrolmentService/ListCertificates    all      U    U      P      P   P   P   P   P   P   P   .    .   P   P
EnrolmentService/RevokeCertificates  fir      U    U      P      P   P   P   P   P   P   P   .    P   P   P
IdentityService/WhoAmI               none     U    U      .      .   .   .   .   .   .   .   .    .   .   .
IdentityService/CreateMachineToken   in-p     U    U      P      .   .   .   P   P   P   P   P    P   P   P
IdentityService/CreateMachineToken   in-q     U    U      P      P   P   P   .   P   P   P   P    P   P   P
IdentityService/ListMachineTokens    all      U    U      P      .   .   .   .   P   P   P   .    P   P   P
IdentityService/RevokeMachineToken   ana's    U    U      P      .   P   .   P   P   P   P   .    P   P   P
IdentityService/RevokeMachineToken   missing  U    U      P      P   P   P   P   P   P   P   N    P   P   P
AccountingService/SavePool           bad      U    U      P      P   P   P   P   P   P   P   F    P   P   P
AccountingService/ListPools          all      U    U      P      .   .   .   .   .   .   .   .    .   P   P
AccountingService/SaveProject        bad      U    U      P      P   P   P   P   P   P   P   F    P   P   P
AccountingService/GetProject         in-p     U    U      P      .   .   .   P   P   P   P   .    .   .   P
AccountingService/GetProject         in-no    U    U      P      P   P   P   P   P   P   P   N    N   P   P
AccountingService/ListProjects       all      U    U      P      .   .   .   .   P   P   P   .    .   .   P
AccountingService/SetMember          in-p     U    U      P      P   P   .   P   P   P   P   .    P   P   P
AccountingService/SetMember          in-q     U    U      P      P   P   P   P   P   P   P   .    P   P   P
AccountingService/ListMembers        in-p     U    U      P      P   P   .   P   P   P   P   .    .   P   P
AccountingService/ListMembers        in-q     U    U      P      P   P   P   P   P   P   P   .    .   P   P
AccountingService/SaveGrant          bad      U    U      P      P   P   P   P   P   P   P   F    P   P   P
AccountingService/CloseGrant         missing  U    U      P      P   P   P   P   P   P   P   N    P   P   P
AccountingService/GetGrant           missing  U    U      P      P   P   P   P   P   P   P   N    N   P   P
AccountingService/ListGrants         in-p     U    U      P      .   .   .   P   P   P   P   .    .   .   P
AccountingService/ListGrants         in-q     U    U      P      P   P   P   .   P   P   P   .    .   P   P
AccountingService/ListLedger         in-p     U    U      P      P   P   .   P   P   P   P   .    .   P   P
AccountingService/ListLedger         in-q     U    U      P      P   P   P   P   P   P   P   .    .   P   P
AccountingService/ListLedger         all      U    U      P      P   P   P   P   P   P   P   .    .   P   P
AccountingService/ImportUsage        none     U    U      P      P   P   P   P   P   P   P   .    P   P   P
AccountingService/ListExchange       all      U    U      P      P   P   P   P   .   .   P   .    .   P   P
AccountingService/RecordExchange     bad      U    U      P      P   P   P   P   P   P   P   F    P   P   P
AuditService/ListEntries             all      U    U      P      P   P   P   P   P   P   P   .    .   P   P
AuditService/ExportEntries           all      U    U      P      P   P   P   P   P   P   P   .    .   P   P
AuditService/GetHead                 none     U    U      .      .   .   .   .   .   .   .   .    .   .   .
AuditService/GetKey                  none     .    .      .      .   .   .   .   .   .   .   .    .   .   .
Health/Check                         none     .    .      .      .   .   .   .   .   .   .   .    .   .   .
Health/Watch                         none     .    .      .      .   .   .   .   .   .   .   .    .   .   .
Health/List                          none     U    U      P      P   P   P   P   P   P   P   P    P   P   P
ServerReflection/ServerReflectionInfo none    U    U      .      .   .   .   .   .   .   .   .    .   .   .
"""  # noqa: E501 - a table


MODULES = (
    jobs_pb2, sites_pb2, accounting_pb2, enrolment_pb2, identity_pb2, audit_pb2, health_pb2,
    reflection_pb2,
)  # fmt: skip
METHODS = {
    f"{service.name}/{method.name}": (service, method)
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
LETTERS = {
    grpc.StatusCode.OK: ".",
    grpc.StatusCode.UNAUTHENTICATED: "U",
    grpc.StatusCode.PERMISSION_DENIED: "P",
    grpc.StatusCode.NOT_FOUND: "N",
    grpc.StatusCode.FAILED_PRECONDITION: "F",
    grpc.StatusCode.INVALID_ARGUMENT: "F",
}
LIFETIME_S = 900


def rows() -> Iterator[tuple[str, str, list[str]]]:
    head, *lines = EXPECTED.strip().split("\n")
    assert head.split()[2:] == CALLERS
    for line in lines:
        call, what, *letters = line.split()
        assert len(letters) == len(CALLERS), line
        yield call, what, letters


def spec(project: str) -> specs_pb2.JobSpec:
    return specs_pb2.JobSpec(
        name="x", user="root", issuer="local", subject="root", script=b"#!/bin/sh\n",
        time_limit_s=60, project=project,
    )  # fmt: skip


def create(project: str) -> jobs_pb2.CreateJobRequest:
    return jobs_pb2.CreateJobRequest(spec=spec(project))


def member(project: str) -> accounting_pb2.Member:
    return accounting_pb2.Member(
        project=f"projects/{project}", issuer="people", subject="zoe", role="user"
    )


def jobs_named(what: str, tokens: dict[str, str]) -> str:
    ids = {"ana's": ANA, "eve's": EVE, "waits": WAITS, "missing": MISSING, "lent": LENT,
           "open": OPEN}  # fmt: skip
    return f"jobs/{tokens.get(what) or ids[what]}"


Made = dict[str, Callable[[], Any]]


def accounts(project: str) -> Made:
    return {
        "AccountingService/GetProject": lambda: accounting_pb2.GetProjectRequest(
            name=f"projects/{project}"
        ),
        "AccountingService/SetMember": lambda: accounting_pb2.SetMemberRequest(
            member=member(project)
        ),
        "AccountingService/ListMembers": lambda: accounting_pb2.ListMembersRequest(
            project=f"projects/{project}"
        ),
        "AccountingService/CloseGrant": lambda: accounting_pb2.CloseGrantRequest(name="grants/no"),
        "AccountingService/GetGrant": lambda: accounting_pb2.GetGrantRequest(name="grants/no"),
        "AccountingService/ListGrants": lambda: accounting_pb2.ListGrantsRequest(
            project=f"projects/{project}"
        ),
        "AccountingService/ListLedger": lambda: accounting_pb2.ListLedgerRequest(
            project=f"projects/{project}" if project else ""
        ),
    }


def sites_and_tokens(what: str, site: str, tokens: dict[str, str]) -> Made:
    project = what.removeprefix("in-")
    return {
        "EnrolmentService/EnrolSite": lambda: enrolment_pb2.EnrolSiteRequest(site="sites/csuc"),
        "EnrolmentService/CreateInvitation": lambda: enrolment_pb2.CreateInvitationRequest(
            site=f"sites/{site}"
        ),
        "EnrolmentService/ListCertificates": lambda: enrolment_pb2.ListCertificatesRequest(
            site=f"sites/{site}" if site else ""
        ),
        "EnrolmentService/RevokeCertificates": lambda: enrolment_pb2.RevokeCertificatesRequest(
            name="sites/bsc"
        ),
        "IdentityService/CreateMachineToken": lambda: identity_pb2.CreateMachineTokenRequest(
            label="x", project=project, scopes=["read"]
        ),
        "IdentityService/RevokeMachineToken": lambda: identity_pb2.RevokeMachineTokenRequest(
            name=f"machineTokens/{tokens['victim'] if what != 'missing' else 'none-abc'}"
        ),
    }


def request(call: str, what: str, tokens: dict[str, str]) -> Any:
    """Return what is asked: the second word of a line says about which object."""
    project = what.removeprefix("in-") if what.startswith("in-") else ""
    site = {"missing": "nowhere", "fir": "fir", "csuc": "csuc"}.get(what, "")
    made: Made = {
        "JobService/CreateJob": lambda: create(project),
        "JobService/CreateJobs": lambda: jobs_pb2.CreateJobsRequest(requests=[create(project)]),
        "JobService/DryRunJob": lambda: jobs_pb2.DryRunJobRequest(spec=spec(project)),
        "JobService/GetJob": lambda: jobs_pb2.GetJobRequest(name=jobs_named(what, tokens)),
        "JobService/GetJob+script": lambda: jobs_pb2.GetJobRequest(
            name=jobs_named(what, tokens), with_script=True
        ),
        "JobService/WatchJobs": lambda: jobs_pb2.WatchJobsRequest(
            names=[jobs_named(what, tokens)], with_current=True
        ),
        "JobService/ExplainJob": lambda: jobs_pb2.ExplainJobRequest(name=jobs_named(what, tokens)),
        "JobService/CancelJob": lambda: jobs_pb2.CancelJobRequest(name=jobs_named(what, tokens)),
        "JobService/ReadOutput": lambda: jobs_pb2.ReadOutputRequest(name=jobs_named(what, tokens)),
        "JobService/ShareJob": lambda: jobs_pb2.ShareJobRequest(
            name=jobs_named(what, tokens), user="zoe@people"
        ),
        "JobService/UnshareJob": lambda: jobs_pb2.UnshareJobRequest(
            name=jobs_named(what, tokens), user="zoe@people"
        ),
        "SiteService/GetSite": lambda: sites_pb2.GetSiteRequest(name=f"sites/{site}"),
        "SiteService/WatchCapacity": lambda: sites_pb2.WatchCapacityRequest(
            names=[f"sites/{site}"]
        ),
        "SiteService/DrainSite": lambda: sites_pb2.DrainSiteRequest(name=f"sites/{site}"),
        "SiteService/ResumeSite": lambda: sites_pb2.ResumeSiteRequest(name=f"sites/{site}"),
        "ServerReflection/ServerReflectionInfo": lambda: reflection_pb2.ServerReflectionRequest(
            list_services="*"
        ),
        **accounts(project),
        **sites_and_tokens(what, site, tokens),
    }
    if call in made:
        return made[call]()
    return message_factory.GetMessageClass(METHODS[call][1].input_type)()


async def letter(channel: grpc.aio.Channel, call: str, message: Any, token: str) -> str:
    """Make a call; of a stream only the first answer is waited for."""
    service, method = METHODS[call.partition("+")[0]]
    path = f"/{service.full_name}/{method.name}"
    read = message_factory.GetMessageClass(method.output_type).FromString
    words: dict[str, Any] = {
        "request_serializer": lambda one: one.SerializeToString(), "response_deserializer": read,
    }  # fmt: skip
    given: dict[str, Any] = {
        "metadata": (("authorization", f"Bearer {token}"),) if token else (),
        "timeout": 30,
    }
    asked = iter([message]) if method.client_streaming else message
    try:
        if not method.server_streaming:
            kind = channel.stream_unary if method.client_streaming else channel.unary_unary
            await kind(path, **words)(asked, **given)
            return "."
        streams = channel.stream_stream if method.client_streaming else channel.unary_stream
        stream = streams(path, **words)(asked, **given)
        first = await stream.read()
        if first is grpc.aio.EOF:
            return LETTERS[await stream.code()]
        stream.cancel()
    except grpc.aio.AioRpcError as error:
        return LETTERS.get(error.code(), f"{error.code().name}: {error.details()}")
    return "."


def changed(token: str) -> str:
    """Return a token that says to be an operator's, with the old signature."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "==")) | {"groups": ["operators"]}
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{text}.{signature}"


async def everybody(provider: people.Provider, running: Broker) -> dict[str, str]:
    """Log everybody in; return tokens by caller, and the machine account and job of others."""
    names = {name: name for name in CALLERS[2:12]} | {"olga": "operator-olga"}
    tokens = {
        name: (await asyncio.to_thread(provider.tokens, login)).access
        for name, login in names.items()
    }
    tokens |= {"anon": "", "stolen": changed(tokens["ana"])}
    async with running.channel() as channel:
        books: Any = accounting_pb2_grpc.AccountingServiceStub(channel)
        for name in ("p", "q"):
            project = accounting_pb2.Project(name=f"projects/{name}", title=name)
            await books.SaveProject(
                accounting_pb2.SaveProjectRequest(project=project),
                metadata=(bearer(tokens["olga"]),),
            )
        made = await machine(channel, tokens["ana"], "submit", "read", "cancel")
        tokens["bot"] = made.token
        tokens["mute"] = (await machine(channel, tokens["ana"], "output")).token
        tokens["victim"] = (await machine(channel, tokens["ana"], "read")).uid
        stub: Any = jobs_pb2_grpc.JobServiceStub(channel)
        job = await stub.CreateJob(create("p"), metadata=(bearer(made.token),))
        tokens["bot's"] = job.uid
        assert job.user == f"{made.uid}@machine"  # whatever the request said
    return tokens


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


async def machine(channel: Any, token: str, *scopes: str) -> identity_pb2.MachineToken:
    stub: Any = identity_pb2_grpc.IdentityServiceStub(channel)
    request = identity_pb2.CreateMachineTokenRequest(label="bot", scopes=scopes)
    made: identity_pb2.MachineToken = await stub.CreateMachineToken(
        request, metadata=(bearer(token),)
    )
    return made


@pytest.fixture(scope="module")
def patient(requires: Callable[[str, str], Path]) -> Iterator[people.Provider]:
    """A provider whose tokens hold for as long as all of this takes."""
    node, npm = requires("node", "nodejs"), requires("npm", "npm")
    with people.provider(node, npm, token_s=LIFETIME_S) as running:
        yield running


def test_every_call_of_the_users_door_is_in_the_matrix():
    asked = {call.partition("+")[0] for call, _, _ in rows()}
    served = {f"{name.rpartition('.')[2]}/" for name in SERVICES}
    assert all(any(call.startswith(name) for call in METHODS) for name in served), served
    assert set(METHODS) - asked == set(), "calls that nobody is asked about"


@pytest.mark.timeout(300)
async def test_who_may_make_which_call_about_what(patient, tmp_path):
    home = tmp_path
    await filled(home)
    await shared(home)
    wrong, count = [], 0
    async with broker(home, patient) as running:
        tokens = await everybody(patient, running)
        async with running.channel() as channel:
            for call, what, letters in rows():
                for who, expected in zip(CALLERS, letters, strict=True):
                    message = request(call, what, tokens)
                    got = await letter(channel, call, message, tokens[who])
                    count += 1
                    if got != expected:
                        wrong.append(f"{call} of {what} by {who}: {got}, not {expected}")
    assert not wrong, "\n".join(wrong)
    assert count > 600
