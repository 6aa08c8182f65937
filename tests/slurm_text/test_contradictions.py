"""Numbers that no Slurm takes together are refused by name; what Slurm takes is not."""

from __future__ import annotations

import pytest

from res_federation.errors import InvalidArgument
from res_federation.slurm.job_spec import read_job


def options(words: str) -> str:
    return "\n".join(["#!/bin/bash", *(f"#SBATCH {word}" for word in words.split()), "true", ""])


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("--nodes=2 --ntasks=8 --ntasks-per-node=2", "--ntasks"),
        ("--nodes=2-3 --ntasks=8 --ntasks-per-node=2", "--ntasks"),
        ("--mem-per-gpu=8G", "--mem-per-gpu"),
        ("--gpus=2 --cpus-per-gpu=2 --cpus-per-task=1", "--cpus-per-gpu"),
        ("--gpus=2 --nodes=3", "--gpus"),
        ("--gpus=9 --gres=gpu:2", "--gpus"),
        ("--gpus=8 --gres=gpu:2 --nodes=2", "--gpus"),
        ("--gpus=8 --gpus-per-task=2 --ntasks=3", "--gpus"),
        ("--gpus=2 --gres=gpu:1 --ntasks=32 --ntasks-per-node=6", "--ntasks"),
        ("--nodes=1 --gres=gpu:2 --ntasks-per-gpu=2 --ntasks=16", "--ntasks"),
    ],
)
def test_what_every_controller_refuses_is_refused(words: str, field: str):
    with pytest.raises(InvalidArgument) as caught:
        read_job(options(words), user="ana")
    assert caught.value.field.endswith(field)
    assert caught.value.way_out


@pytest.mark.parametrize(
    "words",
    [
        "--nodes=2-4 --ntasks=8 --ntasks-per-node=2",
        "--nodes=2 --ntasks=3 --ntasks-per-node=2",
        "--nodes=4 --ntasks=2 --ntasks-per-node=2",
        "--gpus=2 --nodes=3 --ntasks=1",
        "--gpus=8 --gres=gpu:2",
        "--gpus=8 --gres=gpu:2 --nodes=1-8",
        "--gpus=6 --gpus-per-task=2 --ntasks=3",
        "--gpus=2 --mem-per-gpu=8G --cpus-per-task=4",
        "--gres=gpu:2 --ntasks-per-gpu=2 --ntasks=16",
    ],
)
def test_what_slurm_takes_is_read(words: str):
    assert read_job(options(words), user="ana").time_limit_s
