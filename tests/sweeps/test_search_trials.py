"""Several sweepers of one study: whose a trial is, which are dead, and who runs them again."""

from __future__ import annotations

import subprocess
import sys
import time

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from seqlab.sweeps.study_trials import BEAT, OWNER, Trials
from seqlab.trials.storage import open_storage


@pytest.fixture
def sweeper(tmp_path):
    """`sweeper(name)`: the trials as a sweeper sees them that shares a journal with others."""

    def make(name, total=6, **options):
        storage = open_storage(str(tmp_path / "study.log"), create=True)
        study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
        options = {"alone": False, "interval": 0.02, **options}
        return Trials(study, storage, total=total, folder=tmp_path / name, **options)

    return make


def begin(trials: Trials) -> int:
    trial = trials.next(lambda place: RandomSampler(seed=place))
    assert trial is not None
    trial.suggest_float("x", 0, 1)
    return trial.number


def states(trials: Trials) -> list[str]:
    return [trial.state.name for trial in trials.all()]


def give_to(trials: Trials, number: int, **changes) -> None:
    """Makes another process, or machine, a trial's owner."""
    trials.note(number, OWNER, trials.owner | changes)


def test_the_living_keep_their_trials(sweeper):
    one, other = sweeper("one"), sweeper("other")
    begin(one)
    begin(other)
    assert (one.bury(), other.bury()) == (0, 0)
    assert states(one) == ["RUNNING"] * 2


def test_the_dead_of_this_machine_do_not(sweeper):
    one, other = sweeper("one"), sweeper("other")
    number = begin(one)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    give_to(one, number, pid=process.pid)
    other.bury()
    assert states(other) == ["FAIL", "WAITING"]
    # Only one of those that see it runs it again, with its parameters and its place.
    sweeper("third").bury()
    one.bury()
    assert states(other) == ["FAIL", "WAITING"]
    again = other.next(lambda place: RandomSampler(seed=100 + place))
    assert again is not None
    assert again.suggest_float("x", 0, 1) == other.all()[0].params["x"]
    assert other.begun() == 1


def test_another_machine_is_known_by_its_signs(sweeper):
    """Same host name, other machine: of its process nothing is known here."""
    one, other = sweeper("one"), sweeper("other")
    number = begin(one)
    give_to(one, number, space="another machine", pid=1)
    assert other.bury() == 1
    one.note(number, BEAT, 1)
    assert other.bury() == 0
    assert states(other) == ["RUNNING"]
    time.sleep(0.06)
    one.note(number, BEAT, 2)
    assert other.bury() == 0
    time.sleep(0.15)
    other.bury()
    assert states(other) == ["FAIL", "WAITING"]
    # Who was taken for dead and was not cannot change what the others go by.
    one.complete(number, [1.0])
    one.prune(number)
    assert not one.fail(number, "late")
    assert states(one) == ["FAIL", "WAITING"]


def test_one_without_signs_is_dead_after_a_while(sweeper):
    """Killed before it could write down whose it is."""
    one, other = sweeper("one"), sweeper("other")
    one.study.ask()
    assert other.bury() == 1
    time.sleep(0.15)
    assert other.bury() == 0
    assert states(other) == ["FAIL", "WAITING"]


def test_alone_in_a_folder_nobody_else_lives(sweeper):
    one = sweeper("one", alone=True)
    one.study.ask()
    assert one.bury() == 0
    assert states(one) == ["FAIL", "WAITING"]


def test_signs_of_life(sweeper):
    one = sweeper("one")
    with one.beating():
        number = begin(one)
        deadline = time.monotonic() + 20
        while not one.all()[number].user_attrs.get(BEAT) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert one.all()[number].user_attrs[BEAT] >= 1


def test_never_more_than_the_total(sweeper):
    """Both find a place left, and both ask: the second to be counted has none."""
    one, other = sweeper("one", total=3), sweeper("other", total=3)
    begin(one)
    begin(other)
    other.begun = lambda: 2  # what it saw before the next line
    begin(one)
    assert other.next(lambda place: RandomSampler()) is None
    assert states(one) == ["RUNNING"] * 3 + ["FAIL"]
    assert one.begun() == 3
    assert one.failed() == []
    assert one.next(lambda place: RandomSampler()) is None
    assert len(one.all()) == 4


def test_each_sweeper_retries_its_own_failures(sweeper):
    one, other = sweeper("one"), sweeper("other")
    mine, its = begin(one), begin(other)
    one.fail(mine, "broke")
    other.fail(its, "broke")
    one.retry_failed()
    one.retry_failed()
    assert states(one) == ["FAIL", "FAIL", "WAITING"]
    assert one.all()[2].user_attrs["runs_again"] == mine
    assert [trial.number for trial in one.failed()] == [its]
    assert one.all(TrialState.WAITING)[0].system_attrs["fixed_params"] == one.all()[mine].params
