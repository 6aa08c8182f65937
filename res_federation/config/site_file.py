"""The shape of ``site.toml`` (``sites/README.md`` describes it for people)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from res_federation.config.quantities import duration_s, memory_mib
from res_federation.errors import InvalidArgument
from res_federation.model.governance import Ens, Owner
from res_federation.model.identifiers import word
from res_federation.model.site import Confidence


def _word(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError(f'{text!r} is not a word; put it in double quotes: "..."')  # noqa: TRY004 - pydantic turns ValueError alone into a problem
    try:
        return word(text, "")
    except InvalidArgument as error:
        raise ValueError(error.message) from None


def _partition_name(text: object) -> str:
    """Read a name as Slurm has it: with capitals, where it has some."""
    if isinstance(text, str):
        _word(text.lower())
        return text
    return _word(text)


def _confidence(text: object) -> Confidence:
    try:
        return Confidence(str(text))
    except ValueError:
        words = ", ".join(Confidence)
        raise ValueError(f"{text!r} says not how well it is known; write one of: {words}") from None


def _address(text: object) -> str:
    if not isinstance(text, str) or not re.fullmatch(r"https?://\S+", text):
        raise ValueError(f"{text!r} is not an address of a page; write https://... and no more")
    return text


def _jurisdiction(text: object) -> str:
    if not isinstance(text, str) or not re.fullmatch("[A-Z]{2}", text):
        raise ValueError(f'{text!r} is no code of a country, such as "ES", nor "EU"')
    return text


def _owner(text: object) -> Owner:
    try:
        return Owner(str(text))
    except ValueError:
        raise ValueError(f'{text!r} is not whose it is; write "public" or "private"') from None


def _ens(text: object) -> Ens:
    try:
        return Ens[str(text).upper()]
    except KeyError:
        known = ", ".join(one.name.lower() for one in Ens)
        raise ValueError(f"{text!r} is no category of the ENS; write one of: {known}") from None


Word = Annotated[str, BeforeValidator(_word)]
Jurisdiction = Annotated[str, BeforeValidator(_jurisdiction)]
OwnerWord = Annotated[Owner, BeforeValidator(_owner)]
EnsWord = Annotated[Ens, BeforeValidator(_ens)]
PartitionName = Annotated[str, BeforeValidator(_partition_name)]
Address = Annotated[str, BeforeValidator(_address)]
Known = Annotated[Confidence, BeforeValidator(_confidence)]
Memory = Annotated[int, BeforeValidator(memory_mib)]
Duration = Annotated[int, BeforeValidator(duration_s)]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Percent = Annotated[float, Field(ge=0, le=100)]
Petaflops = Annotated[float, Field(gt=0, le=100_000)]


class Strict(BaseModel):
    """A table without unknown keys, whose numbers are numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class LocationTable(Strict):
    """Where a site stands, in degrees."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    precision: Text | None = None


class NetworkTable(Strict):
    """The site's link to the national network."""

    gbps: Annotated[float, Field(gt=0, le=100_000)]
    confidence: Known
    sources: list[Text] = []
    note: str = ""


class PowerTable(Strict):
    """The site's electricity: CO2 of a kWh, and what cooling adds (power usage effectiveness)."""

    grams_per_kwh: Annotated[float, Field(ge=0, le=2000)]
    pue: Annotated[float, Field(ge=1, le=4)] = 1.0
    confidence: Known
    sources: list[Text] = []
    note: str = ""


class GovernanceTable(Strict):
    """Under whose rule a site is; a fact that is not known is left out, and counts as a no."""

    country: Jurisdiction | None = None
    operator: Text | None = None
    owner: OwnerWord | None = None
    jurisdictions: list[Jurisdiction] = []
    ens: EnsWord | None = None
    certifications: list[Word] = []
    cloud: bool | None = None
    confidence: Known
    confidence_of: dict[str, Known] = {}
    sources: list[Text] = []
    note: str = ""


class ClusterTable(Strict):
    """A machine with a batch system of its own."""

    name: Word
    title: Text


class SlurmTable(Strict):
    """How the agent reaches the site's Slurm."""

    conf: Annotated[str, Field(pattern="^/")]
    user: str = ""
    account: str = ""
    bin: Annotated[str, Field(pattern="^(/.*)?$")] = ""
    shared: Annotated[str, Field(pattern="^(/.*)?$")] = ""


class IdentityTable(Strict):
    """Who runs as whom: the site's own file, beside this one unless its path is absolute."""

    file: Text


class PartitionTable(Strict):
    """A partition; a figure that is not known is left out."""

    cluster: Word
    name: PartitionName
    title: Text
    confidence: Known
    aliases: list[Text] = []
    features: list[Text] = []
    architecture: Literal["x86_64", "aarch64", "ppc64le"] = "x86_64"
    cpu: Text | None = None
    nodes: Count | None = None
    cores: Annotated[int, Field(ge=1, le=4096)] | None = None
    memory: Memory | None = None
    accelerator: Text | None = None
    accelerators: Annotated[int, Field(ge=1, le=64)] | None = None
    accelerator_memory: Memory | None = None
    peak_pflops: Petaflops | None = None
    node_watts: Annotated[float, Field(gt=0, le=1e6)] | None = None
    max_time: Duration | None = None
    max_nodes: Count | None = None
    max_array: Count | None = None
    res_share_percent: Percent | None = None
    confidence_of: dict[str, Known] = {}
    sources: list[Text] = []
    note: str = ""


class QosTable(Strict):
    """A quality of service and the limits that it is documented with."""

    name: Text
    partition: Text
    opens: list[PartitionName] = []
    max_nodes: Count | None = None
    max_time: Duration | None = None
    confidence: Known
    sources: list[Text] = []
    note: str = ""


class SiteTable(Strict):
    """A whole ``site.toml``."""

    id: Word
    name: Text | None = None
    machine: Text
    city: Text | None = None
    region: Text | None = None
    country: Annotated[str, Field(min_length=2, max_length=2)] = "ES"
    status: Text | None = None
    docs: Address | None = None
    batch: Literal["local", "slurm", ""]
    batch_system: Text | None = None
    batch_system_confidence: Known | None = None
    peak_pflops: Petaflops | None = None
    res_share_percent: Percent | None = None
    res_share_note: Text | None = None
    interconnect: Text | None = None
    storage: Text | None = None
    energy: Text | None = None
    confidence: Known = Confidence.SOURCED
    sources: list[Text] = []
    rules: list[Text] = []
    note: Text | None = None
    slurm: SlurmTable | None = None
    identity: IdentityTable | None = None
    location: LocationTable | None = None
    network: NetworkTable | None = None
    power: PowerTable | None = None
    governance: GovernanceTable | None = None
    cluster: list[ClusterTable] = []
    partition: list[PartitionTable] = []
    qos: list[QosTable] = []
