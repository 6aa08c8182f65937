"""The rules of a member that no setting of Slurm expresses, as a ``job_submit.lua``."""

from __future__ import annotations

from collections.abc import Mapping

from res_federation.slurm.dialect import Dialect, PartitionRule, Use

_BEGIN = """\
-- Written by tests/slurm/site_plugin.py from a site's dialect.toml.
local NONE = 4294967294
local NONE64 = 18446744073709551614
local NONE16 = 65534

local function given(number)
  return number ~= nil and number ~= NONE and number ~= NONE64 and number ~= NONE16
    and number ~= 4294967295 and number ~= 65535
end

local function or_one(number)
  if given(number) and number > 0 then return number end
  return 1
end

-- How many GPUs "gres:gpu:h100:4,..." asks for; 0 for none.
local function gpus(text)
  local many = 0
  for part in string.gmatch(text or "", "[^,]+") do
    if string.find(part, "gpu") then
      many = many + tonumber(string.match(part, ":(%d+)$") or "1")
    end
  end
  return many
end

local function all_gpus(job)
  local nodes, tasks = or_one(job.min_nodes), or_one(job.num_tasks)
  return math.max(gpus(job.tres_per_node) * nodes, gpus(job.tres_per_job),
    gpus(job.tres_per_task) * tasks)
end

local function all_cores(job)
  local nodes, tasks = or_one(job.min_nodes), or_one(job.num_tasks)
  if given(job.ntasks_per_node) and job.ntasks_per_node > 0 then
    tasks = math.max(tasks, job.ntasks_per_node * nodes)
  end
  local cores = math.max(tasks, nodes) * or_one(job.cpus_per_task)
  local with_each = tonumber(string.match(job.cpus_per_tres or "", ":(%d+)$") or "0")
  if job.shared == 0 then return math.huge end
  return math.max(cores, with_each * all_gpus(job))
end

local function asks_memory(job)
  return given(job.pn_min_memory) or (job.mem_per_tres or "") ~= ""
end

local function refuse(text)
  slurm.log_user(text)
  return slurm.ERROR
end

function slurm_job_modify(job, record, parts, uid)
  return slurm.SUCCESS
end

function slurm_job_submit(job, parts, uid)
"""
_END = """\
  return slurm.SUCCESS
end

return slurm.SUCCESS
"""


def plugin(dialect: Dialect, rules: Mapping[str, PartitionRule], routes: Mapping[str, str]) -> str:
    """Return the plugin of a member, or "" where Slurm's own settings say all there is.

    Args:
        dialect: The member's.
        rules: Of the partitions of one cluster, by name.
        routes: The partition that jobs with a QoS go to when they name none.

    """
    checks = [
        f'  if (job.{name} or "") == "" then return refuse("--{name} is mandatory") end\n'
        for name, rule in (("account", dialect.account.use), ("qos", dialect.qos.use))
        if rule is Use.MUST
    ]
    checks += [
        f'  if job.partition == nil and job.qos == "{qos}" then job.partition = "{partition}" end\n'
        for qos, partition in routes.items()
    ]
    for rule in rules.values():
        inner = "".join(_checks(rule))
        if inner:
            checks.append(f"  if {_means(rule)} then\n{inner}  end\n")
    return _BEGIN + "".join(checks) + _END if checks else ""


def _means(rule: PartitionRule) -> str:
    """Return the condition in Lua that a job goes to the partition."""
    if rule.directive:
        word = f'(job.partition or "") == "{rule.directive}"'
    else:
        word = '(job.partition or "") == ""'
    if rule.constraint:
        word += f' and string.find(job.features or "", "{rule.constraint}", 1, true) ~= nil'
    return word


def _checks(rule: PartitionRule) -> list[str]:
    found = []
    if rule.memory is Use.NEVER:
        found.append('    if asks_memory(job) then return refuse("--mem is refused") end\n')
    if rule.memory is Use.MUST:
        found.append('    if not asks_memory(job) then return refuse("--mem is mandatory") end\n')
    if rule.cpus is Use.NEVER:
        found.append(
            "    if given(job.cpus_per_task) and job.cpus_per_task > 1\n"
            '      or (job.cpus_per_tres or "") ~= "" then\n'
            '      return refuse("--cpus-per-task is refused")\n    end\n'
        )
    elif rule.cores_per_gpu:
        found.append(
            f"    if all_cores(job) < {rule.cores_per_gpu} * all_gpus(job) then\n"
            f'      return refuse("at least {rule.cores_per_gpu} cores with each GPU: " ..\n'
            '        all_cores(job) .. " for " .. all_gpus(job))\n    end\n'
        )
    return found
