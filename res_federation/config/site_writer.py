"""The text of a ``site.toml``, with words for the one who reads it next."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition, Qos, Site, SlurmAccess

_WRAP = 96
_UNITS = ((1024 * 1024, "TiB"), (1024, "GiB"), (1, "MiB"))
_UNKNOWN = """\
# Slurm does not know what follows; fill it in and take the marks away. The site works without.
# name = "..."      # the institution
# city = "..."
# Where it stands and its network: at the end of this file."""
_PLACE = """\
# [location]         # degrees; used for distances between sites
# latitude = ...
# longitude = ...

# [network]          # the link to the national network
# gbps = ...
# confidence = "sourced\""""


def site_text(
    site: Site,
    *,
    head: Sequence[str] = (),
    remarks: Mapping[str, Sequence[str]] | None = None,
    tail: Sequence[str] = (),
) -> str:
    """Return the file that `config.sites.load_site` reads back into *site*.

    What is not known of the site (its institution, its place) stands in the file as a comment to
    be filled in.

    Args:
        site: What to write.
        head: Sentences before everything.
        remarks: Sentences before a partition, by its name.
        tail: Sentences behind everything.

    """
    blocks = [
        _block(_comments(head)),
        _block(_top(site)),
        _UNKNOWN if not site.city and site.name == site.id else "",
        _block(_slurm(site.slurm)) if site.slurm is not None else "",
        _block(_location(site)),
        _block(_network(site)),
        _block(_power(site)),
        _block(_governance(site)),
    ]
    blocks += [_block(_cluster(site, name)) for name in site.clusters]
    for part in site.partitions:
        words = (remarks or {}).get(part.name, ())
        blocks.append(_block([*_comments(words), *_partition(part)]))
    blocks += [_block(_qos(each)) for each in site.qos]
    blocks.append(_PLACE if site.latitude is None else "")
    blocks.append(_block(_comments(tail)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _block(lines: Sequence[str] | Iterator[str]) -> str:
    return "\n".join(lines)


def text(value: str) -> str:
    """Write a text as TOML does; JSON's escapes are TOML's too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def memory(mib: int) -> str:
    """Write MiB in the largest unit that leaves a whole number."""
    size, unit = next((size, unit) for size, unit in _UNITS if mib % size == 0)
    return f"{mib // size} {unit}"


def duration(seconds: int) -> str:
    """Write seconds as hours, minutes and seconds."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _comments(sentences: Sequence[str]) -> Iterator[str]:
    """Yield comment lines; what Slurm's administrators wrote cannot end a comment."""
    for sentence in sentences:
        line = "#"
        for word in re.sub(r"[\x00-\x1f\x7f]", " ", sentence).split():
            if len(line) + 1 + len(word) > _WRAP and line != "#":
                yield line
                line = "#"
            line += f" {word}"
        yield line


def _list(key: str, words: Sequence[str]) -> Iterator[str]:
    if words:
        yield f"{key} = [{', '.join(text(word) for word in words)}]"


def _top(site: Site) -> Iterator[str]:
    yield f"id = {text(site.id)}"
    if site.name != site.id:
        yield f"name = {text(site.name)}"
    yield f"machine = {text(site.machine)}"
    if site.city:
        yield f"city = {text(site.city)}"
    if site.country != "ES":
        yield f"country = {text(site.country)}"
    yield f"batch = {text(site.batch)}"
    if site.res_share_percent is not None:
        yield f"res_share_percent = {float(site.res_share_percent)!r}"


def _slurm(access: SlurmAccess) -> Iterator[str]:
    yield "[slurm]"
    yield f"conf = {text(access.conf)}"
    if access.user:
        yield f"user = {text(access.user)}"
    else:
        yield '# user = "..."     # local account that submits, when the agent runs as root'
    if access.account:
        yield f"account = {text(access.account)}"
    else:
        yield '# account = "..."  # Slurm account that is charged'
    if access.programs:
        yield f"bin = {text(access.programs)}"
    if access.shared:
        yield f"shared = {text(access.shared)}"


def _location(site: Site) -> Iterator[str]:
    if site.latitude is not None and site.longitude is not None:
        yield "[location]"
        yield f"latitude = {float(site.latitude)!r}"
        yield f"longitude = {float(site.longitude)!r}"


def _network(site: Site) -> Iterator[str]:
    if site.wan_gbps is not None:
        yield "[network]"
        yield f"gbps = {float(site.wan_gbps)!r}"
        yield 'confidence = "sourced"'


def _power(site: Site) -> Iterator[str]:
    if site.grams_per_kwh is not None:
        yield "[power]"
        yield f"grams_per_kwh = {float(site.grams_per_kwh)!r}"
        yield 'confidence = "sourced"'


def _governance(site: Site) -> Iterator[str]:
    known = site.governance
    if known is None:
        return
    yield "[governance]"
    for key, word in (("country", known.country), ("operator", known.operator)):
        if word:
            yield f"{key} = {text(word)}"
    if known.owner is not None:
        yield f"owner = {text(known.owner)}"
    yield from _list("jurisdictions", known.jurisdictions)
    if known.ens is not None:
        yield f"ens = {text(known.ens.name.lower())}"
    yield from _list("certifications", known.certifications)
    if known.cloud is not None:
        yield f"cloud = {'true' if known.cloud else 'false'}"
    yield 'confidence = "sourced"'
    said = ", ".join(f"{fact.name.lower()} = {text(how)}" for fact, how in known.confidence)
    yield f"confidence_of = {{ {said} }}"
    yield from _list("sources", known.sources)
    if known.note:
        yield f"note = {text(known.note)}"


def _cluster(site: Site, name: str) -> Iterator[str]:
    yield "[[cluster]]"
    yield f"name = {text(name)}"
    yield f"title = {text(site.machine if len(site.clusters) == 1 else name)}"


def _partition(part: Partition) -> Iterator[str]:
    yield "[[partition]]"
    yield f"cluster = {text(part.id.split('/')[1])}"
    yield f"name = {text(part.name)}"
    yield f"title = {text(part.name)}"
    yield f"confidence = {text(part.confidence)}"
    yield from _list("aliases", part.aliases)
    yield from _list("features", part.features)
    if part.cpu:
        yield f"cpu = {text(part.cpu)}"
    if part.nodes:
        yield f"nodes = {part.nodes}"
    yield from _shape(part.shape)
    if part.node_watts is not None:
        yield f"node_watts = {float(part.node_watts)!r}"
    if part.max_time_s:
        yield f"max_time = {text(duration(part.max_time_s))}"
    if part.max_nodes:
        yield f"max_nodes = {part.max_nodes}"
    if part.max_array:
        yield f"max_array = {part.max_array}"
    yield from _list("sources", part.sources)
    if part.note:
        yield f"note = {text(part.note)}"


def _shape(shape: NodeShape) -> Iterator[str]:
    if shape.architecture != "x86_64":
        yield f"architecture = {text(shape.architecture)}"
    if shape.cores:
        yield f"cores = {shape.cores}"
    if shape.memory_mib:
        yield f"memory = {text(memory(shape.memory_mib))}"
    if shape.accelerator:
        yield f"accelerator = {text(shape.accelerator)}"
        if shape.accelerators:
            yield f"accelerators = {shape.accelerators}"
        if shape.accelerator_memory_mib:
            yield f"accelerator_memory = {text(memory(shape.accelerator_memory_mib))}"


def _qos(qos: Qos) -> Iterator[str]:
    yield "[[qos]]"
    yield f"name = {text(qos.name)}"
    yield f"partition = {text(qos.partition)}"
    yield f"confidence = {text(qos.confidence)}"
    yield from _list("opens", qos.opens)
    if qos.max_nodes:
        yield f"max_nodes = {qos.max_nodes}"
    if qos.max_time_s:
        yield f"max_time = {text(duration(qos.max_time_s))}"
    if qos.note:
        yield f"note = {text(qos.note)}"
