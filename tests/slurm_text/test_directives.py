"""Whatever a value holds, a directive says it and nothing else; the rest of a script stays."""

from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.slurm import script_header
from res_federation.slurm.directives import directive, own_options, rewritten, unwritable
from tests.strategies import examples

HOSTILE = st.one_of(
    st.text(alphabet=" \t\v\f\"'\\#:$`;&|<>(){}~!*-=,%aé\u2028\u0085\x1b", max_size=40),
    st.sampled_from(
        [
            "x #SBATCH --uid=0",
            'a" --account=other',
            "$(rm -rf ~)",
            "`id`",
            "hetjob",
            "' : '",
            "\\",
            "--qos=x",
            "",
        ]
    ),
).filter(lambda text: not unwritable({"comment": text}))
NAMES = st.sampled_from(["comment", "job-name", "account", "partition", "wckey", "licenses"])
BODY = "\n#SBATCH --late=1\necho 'x # y'  \n\ttrue"


@given(values=st.dictionaries(NAMES, HOSTILE, max_size=4))
@settings(max_examples=examples(300), deadline=None)
def test_a_value_is_read_back_and_adds_no_option(values: dict[str, str]) -> None:
    script = rewritten("#!/bin/sh\n# remark\necho", values)
    header = script_header.read(script)
    assert not header.refused
    assert dict(header.given) == values
    assert script.endswith("\necho")


@given(old=st.dictionaries(NAMES, HOSTILE), new=st.dictionaries(NAMES, HOSTILE))
@settings(max_examples=examples(300), deadline=None)
def test_the_body_stays_and_the_options_are_those_wanted(
    old: dict[str, str], new: dict[str, str]
) -> None:
    lines = [directive(name, value) for name, value in old.items()]
    script = "\n".join(["#!/bin/bash", "# top", *lines, "", "sleep 1"]) + BODY
    result = rewritten(script, new)
    assert own_options(result) == new
    assert result.endswith("\n\nsleep 1" + BODY)
    assert result.startswith("#!/bin/bash\n")
    assert "\n# top\n" in result
    assert rewritten(result, new) == result


def test_several_options_on_a_line_and_a_value_on_the_next() -> None:
    script = "#!/bin/sh\n#SBATCH -N 2 -p gpu -t\n# between\n#SBATCH 10 # ten\n#SBATCH --\nid\n"
    told = {"nodes": "2", "time": "10"}
    assert own_options(script) == told | {"partition": "gpu"}
    assert rewritten(script, told) == (
        "#!/bin/sh\n#SBATCH --nodes=2\n#SBATCH --time=10\n# between\nid\n"
    )


def test_a_script_of_comments_alone_takes_directives() -> None:
    assert rewritten("#!/bin/sh", {"time": "5"}) == "#!/bin/sh\n#SBATCH --time=5\n"


def test_line_breaks_are_named() -> None:
    assert unwritable({"time": "1", "job-name": "x\n#SBATCH --uid=0"}) == "job-name"
