"""`resfed report`: what it draws is what the files say, and what is not whole is refused."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from res_federation.cli.main import execute
from res_federation.errors import InvalidArgument
from res_federation.simulator.report import write_report
from res_federation.simulator.report_files import plan
from tests.simulator.report_replays import write_replay

HOSTILE = "<script>alert(1)</script> $x^2$ & \"co\" 'q' \x1b[31m"


class Seen(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def seen(page: Path) -> Seen:
    parser = Seen()
    parser.feed(page.read_text("utf-8"))
    return parser


def test_one_replay_makes_a_page_of_its_own(tmp_path):
    write_replay(tmp_path, jobs=200, groups=("astro", "bio"))

    report = write_report(tmp_path, pictures=True)

    page = seen(report.page)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("svg") == len(report.pictures) == 6
    assert {"script", "link", "iframe", "object"}.isdisjoint(tags)
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png;base64,")), (tag, value)
    assert "url(http" not in report.page.read_text("utf-8")
    for picture in report.pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert {"astro", "bio", "bsc", "csuc"} <= set(re.findall(r"\w+", page.text))


def test_every_drawing_is_described_and_its_ids_are_its_own(tmp_path):
    write_replay(tmp_path, jobs=500)
    text = write_report(tmp_path).page.read_text("utf-8")
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 5
    ids: list[str] = []
    for drawing in drawings:
        root = ET.fromstring(drawing)
        assert root.get("role") == "img"
        assert len(root.get("aria-label") or "") > 20
        ids += [each.get("id") or "" for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))


def test_names_from_traces_are_text_and_nothing_else(tmp_path):
    write_replay(tmp_path, jobs=60, groups=(HOSTILE, "ok"), policy=HOSTILE, trace=HOSTILE)
    page = seen(write_report(tmp_path).page)
    assert "script" not in [tag for tag, _ in page.tags]
    assert "<script>alert(1)</script>" in page.text
    assert "\x1b" not in page.text


def test_policies_are_compared_with_slurms_seed_by_seed(tmp_path):
    for seed, slower in ((1, 1.0), (2, 1.1), (3, 0.9)):
        write_replay(tmp_path / "slurm-federation" / f"seed-{seed}", seed=seed, slower=slower,
                     policy="slurm-federation")  # fmt: skip
        write_replay(tmp_path / "federated" / f"seed-{seed}", seed=seed, slower=slower / 2)

    report = write_report(tmp_path)

    ratio = report.ratios[""]["federated"]["mean_wait"]
    assert ratio.ratio == pytest.approx(0.5, rel=0.02)
    assert ratio.ratio is not None
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low <= ratio.ratio <= ratio.high
    text = seen(report.page).text
    assert "Times slurm-federation" in text
    assert "ratios of 3 seeds" in text


def test_cases_of_a_sweep_are_kept_apart(tmp_path):
    for overlay in ("as-it-is", "upgrade"):
        for policy in ("federated", "random"):
            write_replay(
                tmp_path / overlay / policy / "seed-1", policy=policy, overlay=overlay, load=0.8,
                jobs=80, scenario="mn5",
            )  # fmt: skip
    report = write_report(tmp_path)
    assert set(report.ratios) == {"mn5, as-it-is, load 0.8", "mn5, upgrade, load 0.8"}


def test_what_is_not_whole_is_refused(tmp_path):
    write_replay(tmp_path / "a")
    (write_replay(tmp_path / "b", policy="random") / "summary.json").unlink()
    with pytest.raises(InvalidArgument, match=r"b' has no summary\.json: the replay has not ended"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda place: (place / "jobs.csv").unlink(), "jobs.csv' is missing"),
        (lambda place: cut(place / "jobs.csv", 40), "jobs"),
        (lambda place: (place / "summary.json").write_text('{"jobs": 3'), "not whole JSON"),
        (lambda place: (place / "summary.json").write_text("[]"), "has no key 'trace'"),
        (lambda place: (place / "jobs.csv").write_bytes(b"\xff\xfe\0\0"), "cannot be read"),
        (lambda place: change(place, ",gpu,", ",gpu,"), ""),
        (lambda place: change(place, "1700", "x700"), "is no whole number"),
        (lambda place: (place / "jobs.csv").write_text("a,b\n1,2\n"), "does not begin with"),
    ],
)
def test_broken_results_are_named(tmp_path, spoil, words, capsys):
    place = write_replay(tmp_path / "r", jobs=50)
    spoil(place)
    code = execute(["report", str(tmp_path)])
    told = capsys.readouterr().err
    if not words:
        assert code == 0
        return
    assert code == 2
    assert words in told
    assert "Traceback" not in told
    assert len(told.splitlines()) == 1


def cut(file: Path, share: int) -> None:
    text = file.read_text()
    file.write_text(text[: len(text) * share // 100].rpartition("\n")[0] + "\n")


def change(place: Path, old: str, new: str) -> None:
    file = place / "jobs.csv"
    file.write_text(file.read_text().replace(old, new, 1))


def test_a_half_written_last_line_is_no_job(tmp_path):
    place = write_replay(tmp_path, jobs=50)
    file = place / "jobs.csv"
    file.write_text(file.read_text().rstrip("\n")[:-9])
    with pytest.raises(InvalidArgument):
        write_report(tmp_path)


def test_jobs_that_never_ran_are_counted(tmp_path):
    place = write_replay(tmp_path, jobs=50)
    file = place / "jobs.csv"
    lines = file.read_text().splitlines()
    cells = lines[-1].split(",")
    lines[-1] = ",".join([*cells[:4], "-1", "-1", cells[6]])
    file.write_text("\n".join(lines) + "\n")
    assert "1 never did" in seen(write_report(tmp_path).page).text


def test_an_empty_directory_is_no_result(tmp_path, capsys):
    assert execute(["report", str(tmp_path)]) == 2
    assert "holds no results of a replay" in capsys.readouterr().err
    assert execute(["report", str(tmp_path / "nowhere")]) == 2


def test_programs_get_json(tmp_path, capsys):
    write_replay(tmp_path, jobs=30)
    assert execute(["report", str(tmp_path), "--png", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert Path(found["page"]).is_file()
    assert all(Path(plot).is_file() for plot in found["plots"])
    assert found["replays"][0]["policy"] == "federated"
    assert found["ratios"] == {}


def test_a_comparison_that_has_not_ended_says_so(tmp_path, capsys):
    write_replay(tmp_path / "random" / "seed-1", jobs=30, policy="random")
    write_replay(tmp_path / "old" / "seed-9", jobs=30, policy="of another comparison")
    plan(tmp_path, ["random/seed-1", "federated/seed-1"])
    assert execute(["report", str(tmp_path), "--json"]) == 0
    told = capsys.readouterr()
    assert "1 of 2 replays are not there yet, the first is federated/seed-1" in told.err
    found = json.loads(told.out)
    assert found["missing"] == ["federated/seed-1"]
    assert [each["name"] for each in found["replays"]] == ["random/seed-1"]
    assert "NOT COMPLETE" in seen(tmp_path / "report.html").text
