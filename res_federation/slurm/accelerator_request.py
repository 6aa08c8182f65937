"""Which accelerators a job asks for, how many, and what its other words say about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from res_federation.errors import InvalidArgument
from res_federation.model import accelerators
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.slurm import gres

_WORDS_OF = ("constraint", "partition", "qos")
_SPLIT = re.compile(r"[\s,|&()\[\]*!;]+")
_PARTS = re.compile(r"[^a-z0-9_]+|_")
_ARCHITECTURES = {
    "arm": "aarch64", "arm64": "aarch64", "aarch64": "aarch64", "grace": "aarch64",
    "power9": "ppc64le", "ppc64le": "ppc64le", "p9": "ppc64le",
}  # fmt: skip
_WITH_GRACE = ("gh200", "gb200", "gb300")
_GPU = "gpu"


@dataclass(slots=True)
class AcceleratorRequest:
    """Counts as `ResourceRequest` has them, and what else was found."""

    need: AcceleratorNeed | None = None
    per_node: int | None = None
    total: int | None = None
    per_task: int | None = None
    features: tuple[str, ...] = ()


def read(options: Mapping[str, str], notes: list[str]) -> AcceleratorRequest:
    """Read every option that asks for accelerators or other generic resources.

    Raises:
        InvalidArgument: A value cannot be read, or asks for two kinds of accelerator at once.

    """
    asked = AcceleratorRequest()
    kinds: dict[str, str] = {}
    asked.per_node = _counted(options, "gpus-per-node", kinds)
    asked.total = _counted(options, "gpus", kinds)
    asked.per_task = _counted(options, "gpus-per-task", kinds)
    per_socket = _counted(options, "gpus-per-socket", kinds)
    if per_socket:
        if "sockets-per-node" not in options:
            raise InvalidArgument(
                "--gpus-per-socket option requires --sockets-per-node specification",
                field="--gpus-per-socket",
                way_out="say --gpus-per-node instead",
            )
        sockets = max(1, int(options["sockets-per-node"]))
        asked.per_node = max(asked.per_node or 0, per_socket * sockets)
    if "gres" in options:
        _read_gres(options["gres"], asked, kinds, notes)
    if len(kinds) > 1:
        raise InvalidArgument(
            f"two kinds of accelerator in one job: {' and '.join(sorted(kinds))}",
            field=next(reversed(kinds.values())),
            way_out="ask for one kind, or leave the type out",
        )
    if asked.per_node or asked.total or asked.per_task:
        kind = next(iter(kinds), "")
        asked.need = accelerators.need(kind) if kind else inferred(options, notes)
    else:
        asked.per_node = asked.total = asked.per_task = None
        _mention_unused(options, notes)
    return asked


def _counted(options: Mapping[str, str], name: str, kinds: dict[str, str]) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    return _sum(gres.read_gpus(text, f"--{name}"), f"--{name}", kinds) or None


def _sum(found: tuple[gres.Gres, ...], field: str, kinds: dict[str, str]) -> int:
    many = 0
    for one in found:
        many += one.count
        if one.type and one.count:
            kinds[one.type.lower()] = field
    return many


def _read_gres(
    text: str, asked: AcceleratorRequest, kinds: dict[str, str], notes: list[str]
) -> None:
    found = gres.read(text)
    cards = tuple([one for one in found if one.name == _GPU])
    many = _sum(cards, "--gres", kinds)
    if many:
        asked.per_node = max(asked.per_node or 0, many)
    names = list(dict.fromkeys(one.name for one in found if one.name != _GPU and one.count))
    notes += [
        f"--gres={name}: only sites that declare gres/{name} are considered" for name in names
    ]
    asked.features = tuple([f"gres/{name}" for name in names])


def _words(options: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (name, word) for name in _WORDS_OF for word in _SPLIT.split(options.get(name, "")) if word
    ]


def inferred(options: Mapping[str, str], notes: list[str]) -> AcceleratorNeed:
    """Read the kind from words such as ``--partition=normal-a100-40``; any kind without one."""
    for name in _WORDS_OF:
        if name not in options:
            continue
        words = [word for word in _SPLIT.split(options[name]) if accelerators.family_in(word)]
        families = sorted({accelerators.family_in(word) for word in words})
        if len(families) == 1:
            memory = min(accelerators.memory_in(word) for word in words)
            size = f" with {memory // accelerators.GIB} GiB" if memory else ""
            notes.append(
                f"accelerator {families[0]}{size} was inferred from --{name}={options[name]}"
            )
            return AcceleratorNeed(families[0], memory, words[0])
        if families:
            notes.append(
                f"--{name}={options[name]} names {', '.join(families)}: any accelerator will do, "
                "name one with --gres=gpu:TYPE:N"
            )
            return AcceleratorNeed()
    return AcceleratorNeed()


def _mention_unused(options: Mapping[str, str], notes: list[str]) -> None:
    for name, word in _words(options):
        if name == "constraint" and accelerators.family_in(word):
            notes.append(
                f"--constraint={word} names an accelerator, but none is asked for: add "
                "--gres=gpu:N if the job needs it"
            )


def architecture(options: Mapping[str, str], need: AcceleratorNeed | None, notes: list[str]) -> str:
    """Return the instruction set that the words of a script imply; ``x86_64`` without any."""
    for name, word in _words(options):
        for part in _PARTS.split(word.lower()):
            if part in _ARCHITECTURES:
                notes.append(
                    f"architecture {_ARCHITECTURES[part]} was inferred from --{name}="
                    f"{options[name]}"
                )
                return _ARCHITECTURES[part]
    if need is not None and need.family in _WITH_GRACE:
        notes.append(f"architecture aarch64 was inferred from the accelerator {need.family}")
        return "aarch64"
    return "x86_64"
