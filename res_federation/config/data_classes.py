"""``data-classes.toml``: to which sites data of a class may go, and which project has which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from res_federation.config.problems import Document, Problem, checked, first, read
from res_federation.config.site_file import EnsWord, Jurisdiction, Known, OwnerWord, Strict, Word
from res_federation.model.data_class import NO_CLASSES, DataClass, Residency
from res_federation.model.site import Confidence

DATA_CLASSES_FILE = "data-classes.toml"


class _Class(Strict):
    name: Word
    title: str = ""
    jurisdictions: list[Jurisdiction] = Field(default_factory=list)
    foreign_compulsion: bool = False
    owners: list[OwnerWord] = Field(default_factory=list)
    ens: EnsWord | None = None
    certifications: list[Word] = Field(default_factory=list)
    cloud: bool = False
    trusted: list[Known] = Field(default=[Confidence.SOURCED], min_length=1)


class _Classes(Strict):
    data_class: list[_Class] = Field(default_factory=list, alias="class")
    projects: dict[str, Word] = Field(default_factory=dict)


def load_data_classes(directory: Path) -> Residency:
    """Return the classes of a catalogue; without the file no class is known.

    Raises:
        InvalidArgument: With file, line, field and the way out of the first fault.

    """
    file = directory / DATA_CLASSES_FILE
    if not file.is_file():
        return NO_CLASSES
    found = _read(file)
    if isinstance(found, list):
        raise first(found, more=f"resfed site check {directory}")
    return found


def data_class_problems(file: Path) -> list[Problem]:
    """Return every fault of the file; it need not be there."""
    found = _read(file) if file.is_file() else NO_CLASSES
    return found if isinstance(found, list) else []


def _read(file: Path) -> Residency | list[Problem]:
    document = read(file)
    if isinstance(document, Problem):
        return [document]
    table = checked(document, _Classes)
    if isinstance(table, list):
        return table
    problems = [*_faults(document, table)]
    if problems:
        return problems
    return Residency({one.name: _made(one) for one in table.data_class}, dict(table.projects))


def _faults(document: Document, table: _Classes) -> Iterator[Problem]:
    names = [one.name for one in table.data_class]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield document.problem(("class", index, "name"), f"'{name}' stands here twice")
    for project, name in table.projects.items():
        if name not in names:
            message = f"'{name}' is no [[class]]; there is: {', '.join(names) or 'none'}"
            yield document.problem(("projects", project), message)


def _made(table: _Class) -> DataClass:
    return DataClass(
        name=table.name,
        title=table.title,
        jurisdictions=tuple(table.jurisdictions),
        foreign_compulsion=table.foreign_compulsion,
        owners=tuple(table.owners),
        ens=table.ens,
        certifications=tuple(table.certifications),
        cloud=table.cloud,
        trusted=tuple(table.trusted),
    )
