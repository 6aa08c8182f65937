"""sbatch's table of defined options: setting one after the other, and the checks at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from res_federation.errors import InvalidArgument
from res_federation.slurm import hostlist, phrases, values
from res_federation.slurm.options import BY_NAME, Takes

Table = dict[str, str]
"""Long name to normal form. Names that start with a dot are notes for the checks."""

_NOT_SET = "-2"
"""What sbatch prints where another option has taken a value away (its NO_VAL)."""
_GEOMETRY = (
    (".sockets", "sockets-per-node"),
    (".cores", "cores-per-socket"),
    (".threads", "threads-per-core"),
)
_MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
_AGAINST_HINT = ("ntasks-per-core", "threads-per-core", "extra-node-info")
_SILENT = ("help", "quiet", "test-only", "usage", "verbose", "version", "wrap")
"""Understood in a script, never listed: they are for sbatch itself or do nothing there."""

_READERS: dict[str, Callable[[str], str]] = {
    "acctg-freq": phrases.accounting_frequency,
    "begin": values.instant("begin"),
    "core-spec": values.number("core-spec", 0),
    "cpu-freq": phrases.cpu_freq,
    "deadline": values.instant("deadline"),
    "delay-boot": values.delay,
    "distribution": phrases.distribution,
    "exclude": values.node_names("exclude"),
    "gid": values.identity_number("gid"),
    "gpu-bind": phrases.gpu_bind,
    "gpu-freq": phrases.gpu_freq,
    "gres": values.listed_gres,
    "gres-flags": values.one_of(
        "gres-flags",
        {"disable-binding": "disable-binding", "enforce-binding": "enforce-binding"},
    ),
    "hint": phrases.hint,
    "kill-on-invalid-dep": values.one_of("kill-on-invalid-dep", {"yes": "yes", "no": "no"}),
    "mem-bind": phrases.memory_binding,
    "nice": values.nice,
    "no-kill": values.one_of("no-kill", {"": "set", "set": "set", "off": "unset", "no": "unset"}),
    "nodefile": values.node_file,
    "nodelist": values.node_names("nodelist"),
    "nodes": values.node_range,
    "open-mode": values.open_mode,
    "power": phrases.power,
    "priority": values.priority,
    "profile": phrases.profile,
    "propagate": lambda text: text or "ALL",
    "thread-spec": values.number("thread-spec"),
    "time": values.time_limit,
    "time-min": values.time_min,
    "uid": values.identity_number("uid"),
} | {
    name: values.number(name)
    for name in (
        "cpus-per-gpu cpus-per-task mincpus ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node "
        "ntasks-per-socket ntasks-per-tres"
    ).split()
} | {name: values.amount(name) for name in (*_MEMORY, "tmp")}  # fmt: skip

_exclusive = values.one_of(
    "exclusive", {"": "exclusive", "exclusive": "exclusive", "user": "user", "mcs": "mcs"}
)


def put(table: Table, name: str, value: str) -> None:
    """Set option *name* in *table*, as sbatch does when it meets it.

    Raises:
        InvalidArgument: sbatch would refuse the value.

    """
    reader = _READERS.get(name)
    if reader is not None:
        table[name] = reader(value)
        return
    special = _SPECIAL.get(name)
    if special is not None:
        special(table, name, value)
    elif name not in _SILENT:
        table[name] = "set" if BY_NAME[name].takes is Takes.NOTHING else value


def _pair(first: str, second: str, read: Callable[[str, str], str]) -> None:
    """Let two options share one value, which sbatch prints under each name that was used."""

    def setter(table: Table, name: str, value: str) -> None:
        table[name] = read(name, value)
        for other in (first, second):
            if other in table:
                table[other] = table[name]

    _SPECIAL[first] = _SPECIAL[second] = setter


def _kept(read: Callable[[str, str], str]) -> Callable[[Table, str, str], None]:
    """Make the setter of an option whose earlier value has a say in the next one."""

    def setter(table: Table, name: str, value: str) -> None:
        table[name] = read(value, table.get(name, ""))

    return setter


def _wait_all_nodes(table: Table, name: str, value: str) -> None:
    number = values.whole(value, name, 0)
    if number > 1:
        raise values.refuse(name, "0 or 1")
    table[name] = str(number)


def _geometry(table: Table, name: str, value: str) -> None:
    key = next(key for key, option in _GEOMETRY if option == name)
    table[name] = table[key] = str(values.whole(value, name, 1))


def _extra_node_info(table: Table, name: str, value: str) -> None:
    """Read ``-B sockets[:cores[:threads]]``; of a range the lower bound counts."""
    parts = value.split(":")[:3] if value else []
    read = [_geometry_part(part, at) for at, part in enumerate(parts)]
    for (key, _), number in zip(_GEOMETRY, [*read, "", ""], strict=False):
        table[key] = number
    table[name] = ""


def _geometry_part(text: str, at: int) -> str:
    low, dash, high = (part.strip() for part in text.partition("-"))
    if low == "*" or (at and not text):
        return ""
    place = f"{('first', 'second', 'third')[at]} arg of -B"
    for number in (low, high) if dash else (low,):
        if not number.isascii() or not number.isdigit():
            raise InvalidArgument(
                f'Invalid numeric value "{number}" for {place}.', field="--extra-node-info"
            )
        if int(number.lstrip("0")[:25] or 0) > values.MAX_INT:
            raise InvalidArgument(
                f"Numeric argument ({number[:25]}) to big for {place}.", field="--extra-node-info"
            )
    return str(int(low[-25:]))


_SPECIAL: dict[str, Callable[[Table, str, str], None]] = {
    "mail-type": _kept(phrases.mail_type),
    "signal": _kept(phrases.signal),
    "switches": _kept(phrases.switches),
    "get-user-env": _kept(phrases.user_env),
    "wait-all-nodes": _wait_all_nodes,
    "extra-node-info": _extra_node_info,
    "sockets-per-node": _geometry,
    "cores-per-socket": _geometry,
    "threads-per-core": _geometry,
}
_pair("cluster", "clusters", lambda _name, value: value)
_pair("requeue", "no-requeue", lambda name, _value: name)
_pair(
    "exclusive",
    "oversubscribe",
    lambda name, value: _exclusive(value) if name == "exclusive" else name,
)


def finish(table: Table, directory: str, from_environment: Sequence[str] = ()) -> list[str]:
    """Check options against one another and bring *table* to its final form; return warnings.

    Args:
        table: Changed in place.
        directory: What relative paths stand on.
        from_environment: Names that only the environment has set: they give way.

    Raises:
        InvalidArgument: sbatch would refuse the combination.

    """
    warnings: list[str] = []
    _check_exclusions(table, from_environment)
    if "hint" in table:
        _apply_hint(table, warnings)
    if not table.keys().isdisjoint((".sockets", ".cores", ".threads")):
        _write_geometry(table)
    _write_paths(table, directory)
    if "mincpus" in table and "cpus-per-task" in table:
        table["mincpus"] = str(max(int(table["mincpus"]), int(table["cpus-per-task"])))
    for name, word in (("ntasks", "tasks"), ("cpus-per-task", "cpus per task")):
        if name in table and table[name][0] == "-":
            letter = BY_NAME[name].letter
            raise InvalidArgument(
                f"invalid number of {word} (-{letter} {table[name]})", field=f"--{name}"
            )
    if "nodes" in table or "nodelist" in table:
        _check_nodes(table, warnings)
    if "begin" in table and "deadline" in table:
        begin, deadline = table["begin"], table["deadline"]
        if begin[4:5] == "-" == deadline[4:5] and deadline < begin:
            raise InvalidArgument(
                "Incompatible begin and deadline time specification", field="--deadline"
            )
    return warnings


def _check_exclusions(table: Table, from_environment: Sequence[str]) -> None:
    asked = [name for name in _MEMORY if name in table]
    if len(asked) > 1:
        kept = [name for name in asked if name not in from_environment] or asked
        for name in asked:
            if name not in kept:
                del table[name]
        if len(kept) > 1:
            raise InvalidArgument(
                "--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.",
                field=f"--{kept[-1]}",
                way_out="keep one of them",
            )
    if "ntasks-per-gpu" in table:
        for name in ("gpus-per-task", "ntasks-per-node"):
            if name in table:
                raise InvalidArgument(
                    f"--{name} is mutually exclusive with --ntasks-per-gpu",
                    field=f"--{name}",
                    way_out="keep one of them",
                )
        if table.get("ntasks-per-tres", table["ntasks-per-gpu"]) != table["ntasks-per-gpu"]:
            raise InvalidArgument(
                f"Inconsistent values set to --ntasks-per-gpu={table['ntasks-per-gpu']} and "
                f"--ntasks-per-tres={table['ntasks-per-tres']}",
                field="--ntasks-per-tres",
            )
    if "bb" in table and "bbf" in table:
        raise InvalidArgument("Cannot specify both --burst-buffer and --bbf", field="--bbf")
    if "core-spec" in table and "thread-spec" in table:
        raise InvalidArgument(
            "-S/--core-spec and --thread-spec options are mutually exclusive",
            field="--thread-spec",
        )


def _apply_hint(table: Table, warnings: list[str]) -> None:
    if any(name in table for name in _AGAINST_HINT):
        del table["hint"]
        warnings.append(
            "--hint is ignored: it cannot stand with --ntasks-per-core, --threads-per-core or -B"
        )
        return
    for word in table["hint"].lower().split(","):
        table[".sockets"] = ""
        table[".cores"] = "1" if word == "memory_bound" else ""


def _write_geometry(table: Table) -> None:
    for key, name in _GEOMETRY:
        if name in table:
            table[name] = table.get(key, "") or _NOT_SET
    if "extra-node-info" in table:
        sockets, *rest = (table.get(key, "") for key, _ in _GEOMETRY)
        table["extra-node-info"] = sockets + "".join(f":{part}" for part in rest if part)
        table["extra-node-info"] = table["extra-node-info"] or "unset"
    for key, _ in _GEOMETRY:
        table.pop(key, None)


def _write_paths(table: Table, directory: str) -> None:
    base = directory
    if "chdir" in table:
        base = table["chdir"] = _under(directory, table["chdir"])
    for name in ("output", "error", "input"):
        path = table.get(name)
        if path is not None:
            table[name] = "/dev/null" if path.lower() == "none" else _under(base, path)


def _under(base: str, path: str) -> str:
    return path if path.startswith("/") else f"{base}/{path}"


def _check_nodes(table: Table, warnings: list[str]) -> None:
    """Fit the number of nodes to the list of nodes and to the number of tasks."""
    given = table.get("nodes", "")
    least, _, most = given.partition("-")
    low = int(least or 1)
    high = int(most or least or 0)
    hosts: list[str] = []
    if "nodelist" in table:
        hosts = hostlist.expand(table["nodelist"])
        low = max(low, len(hosts)) if given else len(hosts)
    if high and low > high:
        raise InvalidArgument(
            f"invalid number of nodes (-N {low}-{high})",
            field="--nodes",
            way_out="the list of nodes names more of them" if hosts else "",
        )
    tasks = int(table.get("ntasks", 0))
    plane = table.get("distribution", "")
    if plane.startswith("plane=") and tasks and (low - 1) * int(plane[6:]) >= tasks:
        raise InvalidArgument(
            "Too few processes for the requested {plane,node} distribution",
            field="--distribution",
        )
    if tasks and tasks < low:
        warnings.append(
            f"can't run {tasks} processes on {low} nodes, setting the number of nodes to {tasks}"
        )
        low = tasks
        if len(hosts) > tasks:
            table["nodelist"] = hostlist.first_of(hosts, tasks)
    if given:
        high = min(high, tasks) if tasks and high else high
        table["nodes"] = str(low) if low == high else f"{low}-{high}"
