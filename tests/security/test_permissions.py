"""The table of permissions: no call is missing in it, and what is missing is denied."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import res_federation.api.v1 as api
from res_federation.model.identifiers import PartitionId, RunToken, SiteId, job_id
from res_federation.model.job import Job, JobSpec, Run
from res_federation.model.principal import LOCAL, MACHINE, Principal, Role
from res_federation.security.permissions import (
    MACHINE_SCOPES,
    TABLE,
    Door,
    Permit,
    permit,
)
from res_federation.security.pseudonyms import Pseudonyms
from res_federation.security.sight import View, seen, view, visible

P = "/res_federation.api.v1."
READ, CANCEL, OUTPUT = (f"{P}JobService/{name}" for name in ("GetJob", "CancelJob", "ReadOutput"))


def every_call() -> Iterator[str]:
    """Each call of each service that the generated code, health and reflection describe."""
    modules = [
        importlib.import_module(f"{api.__name__}.{found.name}")
        for found in pkgutil.iter_modules(api.__path__)
        if found.name.endswith("_pb2")
    ]
    for module in (*modules, health_pb2, reflection_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield f"/{service.full_name}/{method.name}"


def test_every_call_has_a_line():
    calls = set(every_call())
    assert len(calls) > 17
    assert calls - set(TABLE) == set(), "calls that the table does not know: nobody may make them"
    assert set(TABLE) - calls == set(), "lines about calls that do not exist"


@pytest.mark.parametrize("who", [
    Principal("people", "eva", roles=frozenset(Role), projects={"p": Role.LEAD},
              sites=frozenset({SiteId("csuc")})),
    Principal(LOCAL, "root", roles=frozenset(Role)),
    Principal(MACHINE, "robot", projects={"p": Role.LEAD}, scopes=frozenset(MACHINE_SCOPES)),
])  # fmt: skip
def test_a_call_without_a_line_is_denied_to_everybody(who):
    for call in (f"{P}JobService/DeleteEverything", "/x.Y/Z", "", "GetJob", READ + "/", READ[1:]):
        assert permit(who, call) is None
    assert permit(who, f"{P}AgentService/Connect") is None


def test_a_login_without_a_role_opens_only_what_every_login_does():
    nobody = Principal("people", "new")
    allowed = {call for call in TABLE if permit(nobody, call) is not None}
    doors = {TABLE[call].door for call in allowed}
    assert doors == {Door.ANYBODY, Door.SIGNED_IN}


def test_a_machine_account_does_only_what_its_token_is_for():
    robot = Principal(MACHINE, "r", projects={"p": Role.LEAD}, scopes=frozenset({"read"}))
    assert permit(robot, READ) is not None
    assert permit(robot, CANCEL) is None
    assert permit(robot, f"{P}IdentityService/CreateMachineToken") is None
    boundless = Principal(MACHINE, "r", projects={"p": Role.LEAD}, scopes=None)
    assert permit(boundless, READ) is None


def a_job(user: str, project: str = "p", site: str = "csuc") -> Job:
    partition = PartitionId(f"{site}/c/gpu")
    spec = JobSpec(name="secret-plan", user=user, script="#!/bin/sh\n", project=project,
                   arguments=("--secret",), environment=(("KEY", "secret"),), notes=("secret",),
                   options=(("comment", "secret"),), directory="/home/secret")  # fmt: skip
    uid = job_id("01J00000000000000000000000")
    run = Run(RunToken(f"{uid}-1"), 1, partition, SiteId(site), 1.0, reason="secret words")
    return Job(uid, spec, 1.0, reason="cancelled by secret", runs=[run])


ANA = Principal("people", "ana", projects={"p": Role.USER, "q": Role.LEAD})
CASES = [
    (ANA, a_job("ana@people"), View.WHOLE),
    (ANA, a_job("ana@others"), View.NAMED),
    (ANA, a_job("ana"), View.NAMED),
    (ANA, a_job("bea@people", "p"), View.NAMED),
    (ANA, a_job("bea@people", "q"), View.WHOLE),
    (ANA, a_job("bea@people", "r"), View.NONE),
    (ANA, a_job("bea@people", ""), View.NONE),
    (Principal("people", "sam", sites=frozenset({SiteId("csuc")})), a_job("a"), View.ANONYMISED),
    (Principal("people", "sam", sites=frozenset({SiteId("iac")})), a_job("a"), View.NONE),
    (Principal("people", "pia", roles=frozenset({Role.PLANNER})), a_job("a"), View.ANONYMISED),
    (Principal("people", "olga", roles=frozenset({Role.OPERATOR})), a_job("a"), View.NAMED),
    (Principal(LOCAL, "root"), a_job("a"), View.WHOLE),
]


def permitted(who: Principal, call: str) -> Permit:
    found = permit(who, call)
    assert found is not None
    return found


@pytest.mark.parametrize(("who", "job", "expected"), CASES)
def test_who_sees_how_much_of_a_job(who, job, expected):
    assert view(permitted(who, READ), job) is expected


@pytest.mark.parametrize(("who", "job", "expected"), CASES)
def test_lists_hold_exactly_what_one_may_see(who, job, expected):
    found = visible(permitted(who, READ))
    listed = (
        found.everything or found.anonymised or job.spec.user == found.user
        or job.spec.project in found.projects or job.site in found.sites
    )  # fmt: skip
    assert listed is (expected > View.NONE)


def test_to_lead_one_project_opens_no_other():
    """A lead of q is only a member of p: what leads may do there is not theirs."""
    mate = a_job("bea@people", "p")
    assert view(permitted(ANA, CANCEL), mate) is View.NONE
    assert view(permitted(ANA, OUTPUT), mate) is View.NONE
    assert view(permitted(ANA, CANCEL), a_job("bea@people", "q")) is View.WHOLE


def test_what_is_shown_holds_no_more_than_it_may():
    pseudonyms = Pseudonyms(b"k" * 32)
    job = a_job("bea@people", "p")
    named, hidden = seen(job, View.NAMED, pseudonyms), seen(job, View.ANONYMISED, pseudonyms)
    assert named.spec.name == "secret-plan"
    assert "--secret" not in repr(named)
    assert "/home/secret" not in repr(named)
    assert "secret words" not in repr(named)
    for word in ("secret", "bea", "people", "#!/bin/sh"):
        assert word not in repr(hidden)
    assert hidden.spec.user == seen(a_job("bea@people", "q"), View.ANONYMISED, pseudonyms).spec.user
    assert hidden.spec.user != seen(a_job("eva@people"), View.ANONYMISED, pseudonyms).spec.user
    assert hidden.spec.user != Pseudonyms(b"l" * 32).of("user", "bea@people")
    assert seen(job, View.WHOLE, pseudonyms) is job
