"""What an accountant and a project lead see: balances at a glance, and who used what where."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from res_federation.client import FederationClient
from tests.broker.conftest import Running, Told
from tests.broker.test_accounting import GRANT, HOUR, a_spec, ended, two_projects


async def test_a_project_sees_what_it_has_and_who_used_it(
    running: Running, told: Told, tmp_path: Path
) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
        for _ in range(2):
            await ended(client, (await client.submit(a_spec("fusion"))).id)
        await ended(client, (await client.submit(a_spec(""))).id)  # of nobody's project
        used = (await client.accounting.grant(GRANT.id)).used[0]
        own = sum([run.used_core_s async for job in client.jobs(project="fusion")
                   for run in job.runs])  # fmt: skip
        assert used == own
    file = tmp_path / "used.csv"
    file.write_text(f"grant,once,core_hours\n{GRANT.id},old:1,0.25\n")
    await told("ledger", "import", str(file))
    code, text, _ = await told("project", "show", "fusion", "--json")
    document = json.loads(text)
    (grant,) = document["grants"]
    assert (code, grant["used"]["core_s"]) == (0, used + 900)
    uses = [(one["user"], one["site"], one["runs"], one["core_s"]) for one in document["usage"]]
    assert uses == [
        ("root", "csuc", 2, used), (None, None, 0, 900)
    ]  # fmt: skip
    text = (await told("project", "show", "fusion"))[1]
    assert "(imported)" in text
    row = next(line for line in text.splitlines() if line.startswith(GRANT.id))
    left = (HOUR - used - 900) / HOUR
    assert row.split()[-4:-1] == [f"{(used + 900) / HOUR:.2f}", "0", f"{left:.2f}"]
    later = json.loads(
        (await told("project", "show", "fusion", "--since", "2099-01-01", "--json"))[1]
    )
    assert later["usage"] == []
    listed = json.loads((await told("queue", "--all", "--project", "fusion", "--json"))[1])
    assert len(listed) == 2


async def test_mistakes_are_told_in_one_line_that_names_the_way_out(
    running: Running, told: Told
) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
    whole = ("--project", "fusion", "--pool", "res", "--begins", "2026-11-01", "--ends",
             "2030-01-01")  # fmt: skip
    for words, said in (
        (("project", "show", "nobody"), "there is no project 'nobody'"),
        (("grant", "list", "--project", "nobody"), "there is no project 'nobody'"),
        (("ledger", "show", "--project", "nobody"), "there is no project 'nobody'"),
        (("grant", "create", "new"), "--project: grant 'new' is new and needs it"),
        (("grant", "create", "new", *whole), "--core-hours: grant 'new' is new and has no hours"),
        (("grant", "create", "new", *whole, "--core-hours", "1", "--machine", "csuc/nope"),
         "there is no 'csuc/nope' at csuc (there are csuc/pirineus3/gpu, "),
        (("exchange", "record", "csuc", "csuc", "1"), "'csuc' gives itself nothing"),
        (("exchange", "record", "csuc", "iac", "0"), "is not more than nothing"),
        (("exchange", "record", "csuc", "iac", "much"), "'much' is not a number of hours"),
    ):  # fmt: skip
        code, out, error = await told(*words)
        assert (code, out) == (2, ""), words
        assert said in error
        assert error.count("\n") == 1


async def test_a_grant_is_changed_by_what_is_given_alone(running: Running, told: Told) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
        before = (await client.accounting.grant(GRANT.id)).grant
        await told("grant", "create", GRANT.id, "--accelerator-hours", "12.5")
        after = (await client.accounting.grant(GRANT.id)).grant
        assert (after.accelerator_s, after.core_s, after.ends) == (45_000, HOUR, before.ends)
        text = (await told("grant", "list", "--project", "fusion"))[1]
        assert [line.split()[-6:-5] for line in text.splitlines()[1:]] == [
            ["core"],
            ["accelerator"],
        ]
        await told("exchange", "record", "csuc", "iac", "1.5")
        text = (await told("exchange", "show"))[1]
        assert [line.split() for line in text.splitlines()[1:3]] == [
            ["csuc", "1.5", "gave", "more"], ["iac", "-1.5", "took", "more"],
        ]  # fmt: skip


async def test_a_user_sees_parity_as_a_bounded_term_and_which_grant_pays(
    running: Running, told: Told
) -> None:
    async with FederationClient(running.address) as client:
        await two_projects(client)
        everywhere = replace(GRANT, id="everywhere", project="climate", machine="")
        await client.accounting.save_grant(everywhere)
        await told("exchange", "record", "csuc", "iac", "2000")
        for site, seconds in (("csuc", 20.0), ("iac", -20.0)):
            job = await ended(client, (await client.submit(a_spec("climate"))).id)
            assert (job.site, job.runs[0].grant) == ("iac", "everywhere"), "who took more gives"
            why = await client.explain(job.id)
            terms = {one.partition.split("/")[0]: dict(one.terms) for one in why.candidates
                     if one.feasible}  # fmt: skip
            assert terms[site]["parity_s"] == seconds
        text = (await told("explain", job.id))[1]
        assert "PARITY" in text
        chosen = next(line for line in text.splitlines() if line.startswith("iac/"))
        assert "-20 s" in chosen
        assert "grant everywhere pays" in chosen
        assert "everywhere: " in (await told("show", job.id))[1]
        await told("exchange", "record", "csuc", "iac", "900000")
        job = await ended(client, (await client.submit(a_spec("climate"))).id)
        why = await client.explain(job.id)
        found = {dict(one.terms)["parity_s"] for one in why.candidates if one.feasible}
        assert found == {900.0, -900.0}, "bounded"
