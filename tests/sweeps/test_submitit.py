"""submitit on this machine; and on Slurm, as far as that can be played."""

from __future__ import annotations

import os
import sys

import pytest
import submitit

from seqlab.errors import InputError
from seqlab.sweeps.slurm_workers import slurm_parameters
from tests.sweeps import sweeping
from tests.sweeps.commands import (
    COUNTING,
    SCRIPT,
    alive,
    await_until,
    begun,
    check_goes_on,
    finish,
    interrupt,
    metrics,
    rows,
    spoil,
    start,
)
from tests.sweeps.test_joblib import BAD

LOCAL = ("hydra/launcher=submitit_local", "hydra.launcher.n_jobs=2")
SLURM = ("hydra/launcher=submitit_slurm", "hydra.launcher.array_parallelism=2")


def test_like_one_after_the_other_though_results_get_lost(tmp_path, counted):
    finish(tmp_path, *COUNTING, *LOCAL, OMP_NUM_THREADS="4", SEQLAB_TEST_LOSE="1")
    assert metrics(tmp_path) == counted
    log = begun(tmp_path)
    assert {entry["OMP_NUM_THREADS"] for entry in log} == {"1"}
    assert len({entry["pid"] for entry in log}) == 4


def test_a_job_that_dies_is_alone(tmp_path, script_conf):
    command = (SCRIPT, "seed=1,3", *LOCAL)
    spoil(tmp_path, {"3": "exit"})
    screen = finish(tmp_path, *command, status=1)
    assert "1 of 2 jobs failed" in screen
    assert [row["status"] for row in rows(tmp_path)] == ["finished", "failed"]
    assert "without a word" in rows(tmp_path)[1]["reason"]


def test_ctrl_c_ends_all(tmp_path, script_conf):
    interrupt(tmp_path, *LOCAL)
    check_goes_on(tmp_path, *LOCAL)


@pytest.mark.slow
def test_a_job_whose_time_is_up_is_started_again(tmp_path, script_conf):
    """Twenty-four seconds of work, of which it is given eighteen at a time."""
    spoil(tmp_path, {"1": "snooze"})
    finish(tmp_path, SCRIPT, "seed=1", *LOCAL, "hydra.launcher.timeout_min=0.6")
    assert [row["status"] for row in rows(tmp_path)] == ["finished"]
    places = [entry["from"] for entry in begun(tmp_path)]
    assert len(places) > 1
    assert places == sorted(places)
    assert places[-1] >= 5


# What sbatch is given runs at once, in processes of its own; sacct tells of those alive.
PLAYED = """#!{python}
import json, os, re, subprocess, sys
from pathlib import Path

name, home = Path(sys.argv[0]).name, Path(sys.argv[0]).parent
known = home / "jobs.json"
if name == "sbatch":
    script = sys.argv[1]
    text = Path(script).read_text()
    (home / "script.sh").write_text(text)
    array = re.search(r"--array=0-(\\d+)", text)
    jobs = {{}}
    for number in range(int(array[1]) + 1) if array else [None]:
        env = {{**os.environ, "SLURM_JOB_ID": "77", "SLURM_NTASKS": "1", "SLURM_PROCID": "0",
               "SLURM_JOB_NAME": "seqlab", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
               "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "1"}}
        job_id = "77"
        if number is not None:
            env |= {{"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(number)}}
            job_id = f"77_{{number}}"
        process = subprocess.Popen(["bash", script], env=env, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        jobs[job_id] = process.pid
    known.write_text(json.dumps(jobs))
    print("Submitted batch job 77")
elif name == "srun":
    words = sys.argv[1:]
    while words[0].startswith("--"):
        words = words[1 if words[0] == "--unbuffered" else 2:]
    os.execvp(words[0], words)
elif name == "sacct":
    print("JobID|State|NodeList")
    for job_id, pid in json.loads(known.read_text()).items():
        stat = Path(f"/proc/{{pid}}/stat")
        lives = stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
        print(f"{{job_id}}|{{'RUNNING' if lives else 'FAILED'}}|here")
elif name == "scancel":
    for job_id, pid in json.loads(known.read_text()).items():
        if job_id.split("_")[0] in sys.argv or job_id in sys.argv:
            os.killpg(pid, 9)
"""


@pytest.fixture
def slurm(tmp_path):
    """A Slurm of one machine that runs everything at once; the environment to find it."""
    home = tmp_path / "slurm"
    home.mkdir()
    for name in ("sbatch", "srun", "sacct", "scancel"):
        (home / name).write_text(PLAYED.format(python=sys.executable))
        (home / name).chmod(0o755)
    return {"PATH": f"{home}:{os.environ['PATH']}"}


def test_slurm_runs_an_array_and_collects_what_it_left(tmp_path, script_conf, slurm):
    options = ("hydra.launcher.partition=gpu", "hydra.launcher.gpus=1", "hydra.launcher.mem_gb=4")
    folder = tmp_path / "sweep"
    command = (SCRIPT, "seed=1,2,3,4,5,6,7", *SLURM)
    spoil(folder, BAD)
    screen = finish(folder, *command, *options, status=1, **slurm)
    assert "4 of 7 jobs failed" in screen
    found = {row["seed"]: row for row in rows(folder)}
    assert [found[seed]["status"] == "finished" for seed in "1234567"] == [
        seed in "167" for seed in "1234567"
    ]
    assert "something broke" in found["2"]["reason"]
    assert "submitit says FAILED" in found["5"]["reason"]
    script = (tmp_path / "slurm" / "script.sh").read_text()
    for line in ("array=0-6%2", "partition=gpu", "gpus-per-node=1", "mem=4096MB", "time=240"):
        assert f"#SBATCH --{line}\n" in script
    assert "export OMP_NUM_THREADS=1" in script


def test_slurms_jobs_live_on_and_are_taken_up_again(tmp_path, script_conf, slurm):
    folder = tmp_path / "sweep"
    command = (SCRIPT, "seed=1,2", *SLURM)
    spoil(folder, {"1": "doze", "2": "doze"})
    first = start(folder, *command, **slurm)
    await_until(lambda: len(begun(folder)) == 2)
    first.kill()
    first.communicate()
    assert all(alive(entry["pid"]) for entry in begun(folder))
    finish(folder, *command, **slurm)
    assert {row["status"] for row in rows(folder)} == {"finished"}
    assert len(begun(folder)) == 2


def test_ctrl_c_cancels_slurms_jobs(tmp_path, script_conf, slurm):
    interrupt(tmp_path / "sweep", *SLURM, at_once=3, **slurm)
    check_goes_on(tmp_path / "sweep", *SLURM, at_once=3, **slurm)


OPTIONS = {
    "name": "seqlab",
    "array_parallelism": 16,
    "timeout_min": 240,
    "cpus_per_task": 2,
    "gpus": 0,
    "mem_gb": None,
    "partition": None,
    "account": None,
    "qos": None,
    "constraint": None,
    "setup": ["module load cuda"],
    "sbatch": {"exclude": "node7"},
}


def test_what_slurm_is_asked_for(tmp_path, monkeypatch):
    parameters = slurm_parameters(OPTIONS | {"qos": "high", "mem_gb": 1.5})
    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", classmethod(lambda cls: 2))
    executor = submitit.SlurmExecutor(tmp_path)
    executor.update_parameters(**parameters)
    script = executor._make_submission_file_text("run", "x")
    for line in ("qos=high", "mem=1536MB", "cpus-per-task=2", "exclude=node7", "ntasks-per-node=1"):
        assert f"#SBATCH --{line}\n" in script
    assert "module load cuda" in script
    assert "export OMP_NUM_THREADS=2" in script
    assert "gpus" not in script


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cpus_per_task", 0),
        ("gpus", -1),
        ("gpus", "two"),
        ("mem_gb", 0),
        ("timeout_min", "long"),
        ("array_parallelism", None),
        ("partition", 3),
        ("name", ""),
        ("sbatch", "exclusive"),
    ],
)
def test_wrong_options(name, value):
    with pytest.raises(InputError, match=rf"hydra\.launcher\.{name}="):
        slurm_parameters(OPTIONS | {name: value})


def test_a_machine_without_slurm(tmp_path, monkeypatch):
    conf = sweeping.write_conf(tmp_path / "conf")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"needs sbatch.*login node"):
        sweeping.sweep(lambda config: None, "seed=1", *SLURM, conf=conf, folder=tmp_path / "sweep")
