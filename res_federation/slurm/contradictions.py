"""What no Slurm takes, whatever its nodes: numbers of one script that cannot all be true.

sbatch passes them on, and the controller refuses them: measured on 22.05.
"""

from __future__ import annotations

from collections.abc import Mapping

from res_federation.errors import InvalidArgument
from res_federation.slurm.accelerator_request import AcceleratorRequest


def refuse(options: Mapping[str, str], asked: AcceleratorRequest) -> None:
    """Refuse a script that Slurm would refuse at any site.

    Args:
        options: sbatch's table.
        asked: The accelerators, as the options have them.

    Raises:
        InvalidArgument: Two of the numbers contradict each other.

    """
    least, most = _nodes(options)
    tasks, per_node = _number(options, "ntasks"), _number(options, "ntasks-per-node")
    if asked.total and asked.per_node and not most:
        most = asked.total // asked.per_node  # Slurm takes so many
    share = _number(options, "ntasks-per-gpu") * (asked.per_node or 0)
    if share and not asked.total:
        per_node = min(per_node or share, share)
    if tasks and per_node and most and tasks > most * per_node:
        raise InvalidArgument(
            f"{tasks} tasks do not stand on {most} nodes with {per_node} tasks on each",
            field="--ntasks",
            way_out=f"ask for {-(-tasks // per_node)} nodes, or leave one of the three out",
        )
    if tasks and least > tasks:
        least, most = tasks, min(most, tasks)  # as Slurm does, with a warning
    if "mem-per-gpu" in options and asked.need is None:
        raise InvalidArgument(
            "memory for each GPU, but no GPU is asked for",
            field="--mem-per-gpu",
            way_out="add --gpus=N, or say --mem or --mem-per-cpu",
        )
    if asked.need is not None:
        _refuse_counts(options, asked, tasks, least, most)


def _refuse_counts(
    options: Mapping[str, str], asked: AcceleratorRequest, tasks: int, least: int, most: int
) -> None:
    total, per_node, per_task = asked.total or 0, asked.per_node or 0, asked.per_task or 0
    if "cpus-per-gpu" in options and "cpus-per-task" in options:
        raise InvalidArgument(
            "--cpus-per-gpu and --cpus-per-task exclude each other",
            field="--cpus-per-gpu",
            way_out="keep one of the two",
        )
    if total and total < least:
        raise InvalidArgument(
            f"{total} GPUs are fewer than the {least} nodes",
            field="--gpus",
            way_out="ask for one GPU for each node at least, or for fewer nodes",
        )
    if total and per_node and total % per_node:
        raise InvalidArgument(
            f"{total} GPUs in all are no multiple of {per_node} on each node",
            field="--gpus",
            way_out="say the number in all, or the number on each node",
        )
    if total and per_node and not least <= total // per_node <= (most or total):
        raise InvalidArgument(
            f"{total} GPUs, {per_node} on each node, are {total // per_node} nodes, and "
            f"{least} to {most or 'any number'} are asked for",
            field="--gpus",
            way_out="leave one of the three out",
        )
    if total and per_task and (total % per_task or (tasks and total != per_task * tasks)):
        raise InvalidArgument(
            f"{total} GPUs in all, and {per_task} for each of {tasks or 'the'} tasks",
            field="--gpus",
            way_out="leave --gpus out: --gpus-per-task and --ntasks say it",
        )


def _number(options: Mapping[str, str], name: str) -> int:
    return max(0, int(options.get(name, "0")))


def _nodes(options: Mapping[str, str]) -> tuple[int, int]:
    """Return the least and the most nodes that are asked for; 0 and 0 for no word about it."""
    least, dash, most = options.get("nodes", "0").partition("-")
    return max(0, int(least)), max(0, int(most if dash else least))
