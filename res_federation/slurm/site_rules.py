"""The fit test with a site's own rules on cores and memory: integers only, compiled as it stands.

Sites raise what was asked for (20 cores with each GPU), or let memory follow the cores.  The
placement kernels and `adapt.fit` both call what `ruled` returns, so what is placed is what can be
written, and takes the room that the written script asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from res_federation.model.resources import WHOLE_NODE_MEMORY, layout_numbers
from res_federation.slurm.dialect import PartitionRule, Use

Function = TypeVar("Function", bound=Callable[..., tuple[int, ...]])

MAY, MUST, NEVER = 0, 1, 2
_USES = {Use.MAY: MAY, Use.MUST: MUST, Use.NEVER: NEVER}
RULE_NUMBERS = 4
"""How many of the last arguments of `ruled_layout` come from the rule."""
_ATTEMPTS = 4
_WHOLE = WHOLE_NODE_MEMORY


def rule_numbers(rule: PartitionRule) -> tuple[int, int, int, int]:
    """Return a rule as the arguments of `ruled_layout` that follow the shape."""
    return (
        rule.cores_per_gpu,
        _USES[rule.cpus],
        _USES[rule.memory],
        rule.memory_per_core_mib,
    )


NO_RULES = (0, MAY, MAY, 0)


def ruled(  # noqa: C901, PLR0915 - holds the flat rule
    layout: Function,
) -> Callable[..., tuple[int, ...]]:
    """Return the fit test under a site's rules, standing on the fit test *layout*."""

    def ruled_layout(  # noqa: C901, PLR0912, PLR0913, PLR0915 - one flat rule, as `layout_numbers`
        nodes: int,
        tasks: int,
        tasks_per_node: int,
        cpus_per_task: int,
        memory_per_node: int,
        memory_per_cpu: int,
        memory_per_accelerator: int,
        accelerators_per_node: int,
        accelerators_total: int,
        accelerators_per_task: int,
        cpus_per_accelerator: int,
        exclusive: int,
        shape_cores: int,
        shape_memory: int,
        shape_accelerators: int,
        cores_per_gpu: int,
        cpus_use: int,
        memory_use: int,
        memory_per_core: int,
        wish_per_core: int,
        at_home: int,
    ) -> tuple[int, ...]:
        """Lay a request out on nodes of one shape as the site wants it asked for.

        Args:
            nodes: And the following fifteen: as `layout_numbers` takes them.
            cores_per_gpu: Least cores with each GPU; what the site gives where cpus are NEVER.
            cpus_use: Whether ``--cpus-per-task`` is wanted: MAY, MUST, NEVER.
            memory_use: Whether memory is asked for: MAY, MUST, NEVER (it follows the cores).
            memory_per_core: MiB that a core brings; 0 where not known.
            wish_per_core: MiB that a core of the script's own site brings; 0 where not known.
            at_home: 1 for a script of this very site: nothing is raised.

        Returns:
            ``(code, needed, have, nodes, cores, memory_mib, accelerators, cpus_per_task,
            cpus_per_accelerator, memory_per_node, memory_per_cpu, implied)``: a `Code` with the
            two numbers of its reason; the layout per node; what must be asked for; the memory
            per core that is asked for because the site wants some.

        """
        implied = 0
        share = 0
        if shape_memory > 0 and shape_cores > 0:
            share = shape_memory // shape_cores
        asks = memory_per_node != -1 or memory_per_cpu > 0 or memory_per_accelerator > 0
        if memory_use == MUST and not asks:
            if at_home:
                return 34, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0
            implied = max(wish_per_core, memory_per_core)
            if implied <= 0:
                implied = share
            if share > 0:
                implied = min(implied, share)
            if implied > 0:
                memory_per_cpu = implied
        whole = exclusive == 1 or (memory_use == NEVER and memory_per_node == _WHOLE)
        for _ in range(_ATTEMPTS):
            lies = layout(
                nodes, tasks, tasks_per_node, cpus_per_task, memory_per_node, memory_per_cpu,
                memory_per_accelerator, accelerators_per_node, accelerators_total,
                accelerators_per_task, cpus_per_accelerator, 0,
                shape_cores, shape_memory, shape_accelerators,
            )  # fmt: skip
            if lies[0] != 0:
                return lies[0], lies[1], lies[2], 0, 0, 0, 0, 0, 0, 0, 0, 0
            cores, memory, cards = lies[4], lies[5], lies[6]
            every = shape_cores * memory_per_cpu
            if memory_per_cpu <= 0:
                every = shape_accelerators * memory_per_accelerator
            if exclusive == 1 and memory_per_node == -1 and every > shape_memory > 0:
                # every core and device of the node is the job's then, and Slurm counts each
                if at_home == 1:
                    return 20, every, shape_memory, 0, 0, 0, 0, 0, 0, 0, 0, 0
                memory_per_node, memory_per_cpu = memory, -1
            if at_home == 1 and tasks_per_node * cpus_per_task > shape_cores:
                return 18, tasks_per_node * cpus_per_task, shape_cores, 0, 0, 0, 0, 0, 0, 0, 0, 0
            if at_home == 0 and cpus_per_accelerator > 0 and cards > 0:
                cpus_per_accelerator = cores // cards  # enough of them for the tasks
            every = shape_accelerators * cpus_per_accelerator
            if exclusive == 1 and at_home == 1 and every > shape_cores:
                return 18, every, shape_cores, 0, 0, 0, 0, 0, 0, 0, 0, 0
            light, lightest = cores, max(1, cores // cpus_per_task)
            if tasks > 0 and cpus_per_accelerator <= 0:
                lightest = max(1, tasks // lies[3])  # tasks of the node that has fewest
                light = min(cores, lightest * cpus_per_task)
            floor = cores_per_gpu * cards
            wanted = cores
            if memory_use == NEVER and memory > 0 and not whole and at_home == 0:
                each = memory_per_core if memory_per_core > 0 else share
                if each <= 0:
                    return 30, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0
                wanted = max(wanted, (memory + each - 1) // each)
            if cpus_use == NEVER and at_home == 0:
                if floor <= 0:
                    return 28, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0
                if wanted > floor:
                    return 29, wanted, floor, 0, 0, 0, 0, 0, 0, 0, 0, 0
                wanted = cores
            elif cpus_use != NEVER:
                wanted = max(wanted, floor)
            if wanted <= cores and (cpus_use == NEVER or floor <= light):
                if cpus_use == NEVER:
                    cores = max(cores, floor)
                if whole:
                    cores, cards = shape_cores, max(shape_accelerators, 0)
                    memory = max(shape_memory, 0)
                return (
                    0, -1, -1, lies[3], cores, memory, cards,
                    cpus_per_task, cpus_per_accelerator, memory_per_node, memory_per_cpu, implied,
                )  # fmt: skip
            if wanted > shape_cores or at_home == 1:
                have = light if at_home == 1 else shape_cores
                return 27, wanted, have, 0, 0, 0, 0, 0, 0, 0, 0, 0
            if memory_use == NEVER and memory_per_cpu > 0:
                # what was named per core is the amount that it was, and no more for more cores
                memory_per_node, memory_per_cpu = memory, -1
            if cpus_per_accelerator > 0 and cards > 0:
                cpus_per_accelerator = (wanted + cards - 1) // cards
            else:
                standing = max(1, cores // cpus_per_task)
                fewest = (floor + lightest - 1) // lightest
                cpus_per_task = max((wanted + standing - 1) // standing, fewest)
        return 31, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0

    return ruled_layout


ruled_layout = ruled(layout_numbers)
