"""Agreement with what a real sbatch 22.05.8 understood of real scripts, word for word."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from res_federation.errors import InvalidArgument
from res_federation.model.job import JobSpec
from res_federation.slurm import script_header
from res_federation.slurm.job_spec import read_job

SHARED = Path(__file__).parents[3] / "shared" / "sbatch"
_MASKED = re.compile(r"[\w.]+@example\.org")
"""Addresses were blanked, in some answers more thoroughly than in their scripts."""


def _same_words(text: Any) -> Any:
    return json.loads(_MASKED.sub("someone", json.dumps(text)))


def _public() -> Iterator[dict[str, Any]]:
    with gzip.open(SHARED / "public.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _members() -> Iterator[dict[str, Any]]:
    for line in (SHARED / "expected.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        yield record | {"script": (SHARED / record["name"]).read_text(encoding="utf-8")}


SOURCES = {"expected.jsonl": _members, "public.jsonl.gz": _public}


def _refused(record: dict[str, Any]) -> bool:
    """Tell whether sbatch ended before it had a table of options to show."""
    fatal = record["rc"] == 1 and not record["options"]
    return record["rc"] == 255 or fatal


@pytest.mark.parametrize("name", SOURCES)
def test_agreement(name: str) -> None:
    if not (SHARED / name).exists():
        pytest.skip("the recorded answers of sbatch are not here")
    differing: list[str] = []
    for record in SOURCES[name]():
        header = script_header.read(record["script"], directory="/srv")
        ours = _same_words([list(header.found), header.options, bool(header.refused)])
        theirs = _same_words([record["found"], record["options"], _refused(record)])
        if ours != theirs:
            differing.append(f"{record['name']}: ours {ours}, sbatch {theirs}")
    assert differing == []


def _job_or_line(record: dict[str, Any]) -> tuple[JobSpec | None, str]:
    try:
        return read_job(record["script"], user="ana", name=record["name"]), ""
    except InvalidArgument as error:
        return None, str(error) if error.field else ""


@pytest.mark.parametrize("name", SOURCES)
def test_every_script_becomes_a_job_or_one_line(name: str) -> None:
    if not (SHARED / name).exists():
        pytest.skip("the recorded answers of sbatch are not here")
    for record in SOURCES[name]():
        spec, line = _job_or_line(record)
        if spec is None:
            assert line
            assert "\n" not in line
            continue
        assert not _refused(record)
        asked = " ".join(record["options"].get(key, "") for key in ("gres", "gpus"))
        counted = re.search(r"gpu(:[a-z]\w*)?:[1-9]", asked)
        assert (spec.request.accelerator is not None) or not counted
