"""Groups of runs, contests and their words, from folders made up for it."""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest
from scipy import stats

from seqlab.errors import InputError
from seqlab.reports.collect import runs_below
from seqlab.reports.compare import compare_folders
from seqlab.reports.groups import grouped
from seqlab.reports.statistics import holm
from seqlab.reports.study_file import Study, write_study
from seqlab.reports.words import command, statuses, summary, verdict
from tests.reports.runs import write_run

SCORES = {"rnn": (0.60, 0.66, 0.58), "gru": (0.90, 0.93, 0.92), "lstm": (0.91, 0.92, 0.90)}


@pytest.fixture
def sweep(tmp_path):
    """Three models by three seeds; one run failed, one was pruned, one left nothing."""
    number = 0
    for model, values in SCORES.items():
        for seed, value in enumerate(values, start=1):
            folder = tmp_path / f"{model}{seed}"
            metrics = {"test/accuracy": value, "test/loss": 1 - value}
            write_run(folder, {"model": model}, seed=seed, metrics=metrics, job=number)
            number += 1
    for status in ("failed", "pruned"):
        write_run(tmp_path / status, {"model": "tcn"}, status=status, job=number)
        number += 1
    write_run(tmp_path / "left", {"model": "tcn"}, seed=5, job=number)
    (tmp_path / "left" / "results.json").unlink()
    return tmp_path


def only(folder, **options):
    found = compare_folders([folder], **options)
    assert len(found.comparisons) == 1
    return found.comparisons[0]


def test_scores_and_contests(sweep):
    comparison = only(sweep)
    assert comparison.metric == "test/accuracy"
    ((section, scores),) = comparison.scores
    assert section.problem == {}
    assert [score.configuration.name for score in scores] == ["gru", "lstm", "rnn"]
    assert [score.n for score in scores] == [3, 3, 3]
    for score in scores:
        values = SCORES[score.configuration.name]
        assert score.mean.value == pytest.approx(np.mean(values))
        assert score.std == pytest.approx(np.std(values, ddof=1))
    close, far = comparison.contests
    assert [c.second.configuration.name for c in comparison.contests] == ["lstm", "rnn"]
    p_values = [stats.ttest_rel(SCORES["gru"], SCORES[other]).pvalue for other in ("lstm", "rnn")]
    assert [c.p for c in comparison.contests] == pytest.approx(p_values)
    assert [c.adjusted for c in comparison.contests] == pytest.approx(holm(p_values))
    assert (close.decided, far.decided) == (False, True)
    assert far.seeds == 3
    assert far.flips == 0.25  # the least that three pairs can give
    assert far.improvement.value == 1.0
    assert close.improvement.value == pytest.approx(
        stats.mannwhitneyu(SCORES["gru"], SCORES["lstm"]).statistic / 9
    )
    assert close.examples is None
    assert close.why_not == "some runs keep no outcomes of their test examples"


def test_words(sweep):
    comparison = only(sweep)
    close, far = (verdict(contest, "larger") for contest in comparison.contests)
    assert close.startswith("gru is within noise of lstm: 0.0067 apart (95 % interval -0.0")
    assert far.startswith("gru is better than rnn by 0.3033 (95 % interval 0.2")
    assert "3 shared seeds" in far
    assert summary(comparison) == [
        "gru is best with 0.9167 (0.8787 to 0.9546); within noise of it: lstm."
    ]
    best = comparison.scores[0][1][0].configuration
    assert command(best) == "python train.py -m model=gru seed=1,2,3"


def test_nothing_is_dropped_silently(sweep):
    (sweep / "rnn1" / "results.json").write_text('{"status": "fini')
    found = compare_folders([sweep])
    told = statuses(found.runs)
    assert told == ("12 runs: 8 finished; not counted: 1 damaged, 1 failed, 1 pruned, 1 unfinished")


def test_smaller_is_better(sweep):
    comparison = only(sweep, metrics=["test/loss"])
    ((_, scores),) = comparison.scores
    assert [score.configuration.name for score in scores] == ["gru", "lstm", "rnn"]
    far = comparison.contests[1]
    assert far.difference.value < 0
    assert far.improvement.value == 1.0
    assert verdict(far, comparison.way).startswith("gru is better than rnn by 0.3033")


def test_against(sweep):
    names = [
        (c.first.configuration.name, c.second.configuration.name)
        for c in only(sweep, against="all").contests
    ]
    assert names == [("gru", "lstm"), ("gru", "rnn"), ("lstm", "rnn")]
    names = [
        (c.first.configuration.name, c.second.configuration.name)
        for c in only(sweep, against="model=lstm").contests
    ]
    assert names == [("gru", "lstm"), ("lstm", "rnn")]
    with pytest.raises(InputError, match=r"model=tcn fits no configuration.*model=gru"):
        only(sweep, against="model=tcn")


def test_seeds_that_differ_are_independent(tmp_path):
    for seed, (one, two) in enumerate(zip((0.8, 0.9, 0.7), (0.4, 0.5, 0.1), strict=True)):
        write_run(tmp_path / f"a{seed}", {"model": "a"}, seed=seed, metrics={"test/accuracy": one})
        b = {"test/accuracy": two}
        write_run(tmp_path / f"b{seed}", {"model": "b"}, seed=seed + 10, metrics=b)
    (contest,) = only(tmp_path).contests
    assert contest.seeds == 0
    assert contest.flips is None
    peer = stats.ttest_ind((0.8, 0.9, 0.7), (0.4, 0.5, 0.1), equal_var=False)
    assert contest.p == pytest.approx(peer.pvalue)
    assert "3 and 3 runs" in verdict(contest, "larger")


def test_single_runs_go_by_test_examples(tmp_path):
    rng = np.random.default_rng(0)
    right = (rng.random((2, 300)) < [[0.9], [0.7]]).astype(int)
    for name, row in zip("ab", right, strict=True):
        write_run(tmp_path / name, {"model": name}, right=row)
    (contest,) = only(tmp_path).contests
    only_one = [int(((right[0] - right[1]) == sign).sum()) for sign in (1, -1)]
    assert contest.p == pytest.approx(stats.binomtest(only_one[0], sum(only_one)).pvalue)
    assert contest.examples.test == "McNemar, exact"
    assert "single runs: other seeds may differ" in verdict(contest, "larger")


def test_examples_may_differ_where_seeds_do_not_tell(tmp_path):
    """Two models that differ on the test set by less than their seeds do."""
    rng = np.random.default_rng(1)
    for seed, rate in enumerate((0.95, 0.7, 0.6)):
        right = (rng.random(2000) < rate).astype(int)
        worse = right * (rng.random(2000) > (0.01, 0.2, 0.05)[seed])
        write_run(tmp_path / f"a{seed}", {"model": "a"}, seed=seed, right=right)
        write_run(tmp_path / f"b{seed}", {"model": "b"}, seed=seed, right=worse)
    (contest,) = only(tmp_path).contests
    assert not contest.decided
    words = verdict(contest, "larger")
    assert words.startswith("a is within noise of b")
    assert "do differ on the 2000 test examples (p < 0.0001): other seeds may turn it" in words


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"test_set": "another"}, "their test sets differ"),
        ({"right": [1, 0]}, "they were tested on different parts of the test set"),
    ],
)
def test_no_examples_test_of_different_examples(tmp_path, other, reason):
    write_run(tmp_path / "a", {"model": "a"}, right=[1, 1, 0])
    write_run(tmp_path / "b", {"model": "b"}, **{"right": [1, 0, 0], **other})
    (contest,) = only(tmp_path).contests
    assert contest.examples is None
    assert contest.why_not == reason
    assert reason in verdict(contest, "larger")
    assert contest.adjusted is None


def test_a_score_that_is_no_mean_over_examples(tmp_path):
    for name in "ab":
        write_run(tmp_path / name, {"model": name}, right=[1, 0], metrics={"test/auroc": 0.5})
    (contest,) = only(tmp_path, metrics=["test/auroc"]).contests
    assert contest.why_not == "auroc is no mean over examples"
    (contest,) = only(tmp_path, metrics=["test/auroc"], by=["model"]).contests
    assert contest.difference.value == 0
    assert verdict(contest, "larger").startswith("a and b are equal")


def two_data(tmp_path):
    for number, (data, model) in enumerate([(d, m) for d in ("p", "q") for m in ("a", "b")]):
        for seed in (1, 2, 3):
            value = {"pa": 0.9, "pb": 0.8, "qa": 0.5, "qb": 0.7}[data + model] + 0.01 * seed
            changed = {"data": data, "model": model}
            folder = tmp_path / f"{number}_{seed}"
            write_run(folder, changed, seed=seed, metrics={"test/accuracy": value})
    return tmp_path


def test_data_make_sections(tmp_path):
    comparison = only(two_data(tmp_path))
    assert [section.problem for section, _ in comparison.scores] == [{"data": "p"}, {"data": "q"}]
    best = [scores[0].configuration.name for _, scores in comparison.scores]
    assert best == ["a", "b"]
    assert len(comparison.contests) == 2


def test_by_model_averages_over_data(tmp_path):
    comparison = only(two_data(tmp_path), by=["model"])
    ((section, scores),) = comparison.scores
    assert section.problem == {}
    means = {score.configuration.name: score.mean.value for score in scores}
    assert means == pytest.approx({"a": 0.72, "b": 0.77})
    assert comparison.notes == ["averaged over data, each value weighing the same"]
    # The distance between the two datasets is no noise.
    assert scores[0].std == pytest.approx(0.01)
    (contest,) = comparison.contests
    assert contest.difference.value == pytest.approx(0.05)
    assert contest.improvement.value == pytest.approx(0.5)  # it wins on one of the two


def test_the_command_runs_all_that_is_averaged_over(tmp_path):
    ((_, scores),) = only(two_data(tmp_path), by=["model"]).scores
    best = scores[0].configuration
    assert command(best) == "python train.py -m data=p,q model=b seed=1,2,3"
    # Without one of them they are no product of data and rate any more, and the first stands.
    for number, (data, rate) in enumerate([("p", "0.1"), ("q", "0.2")]):
        changed = {"data": data, "model": "c", "optimizer.lr": rate}
        write_run(tmp_path / f"c{number}", changed, metrics={"test/accuracy": 0.99})
    ((_, scores),) = only(tmp_path, by=["model"]).scores
    best = scores[0].configuration
    assert command(best) == "python train.py data=p model=c optimizer.lr=0.1 seed=1"


def test_by_data_compares_them(tmp_path):
    comparison = only(two_data(tmp_path), by=["data"])
    assert [score.configuration.name for score in comparison.scores[0][1]] == ["p", "q"]


def test_runs_of_their_own_are_told_apart_by_what_they_chose(tmp_path):
    """One command line says optimizer.lr, the other leaves it as it is."""
    write_run(tmp_path / "a", {"optimizer.lr": "0.1"}, metrics={"test/accuracy": 0.5})
    write_run(tmp_path / "b", {}, metrics={"test/accuracy": 0.6})
    write_run(tmp_path / "c", {"model": "lstm"}, model="gru", metrics={"test/accuracy": 0.7})
    ((_, scores),) = only(tmp_path).scores
    labels = [score.configuration.label for score in scores]
    assert labels == [
        {"optimizer.lr": "0.001", "model": "lstm"},
        {"optimizer.lr": "0.001", "model": "gru"},
        {"optimizer.lr": "0.1", "model": "gru"},
    ]


def test_many_keys_are_told_by_what_is_unusual(tmp_path):
    """Of five keys a name has those that most others do not share."""
    usual = {"a": "1", "b": "2", "c": "3", "x.d": "4", "y.e": "5"}
    for number, other in enumerate(({}, *({key: "9"} for key in usual))):
        metrics = {"test/accuracy": number / 10}
        write_run(tmp_path / str(number), {**usual, **other}, metrics=metrics)
    ((_, scores),) = only(tmp_path).scores
    names = [score.configuration.name for score in reversed(scores)]
    assert names == ["the usual", "a=9", "b=9", "c=9", "d=9", "e=9"]
    assert scores[0].configuration.label == {**usual, "y.e": "9"}


def test_the_seed_of_the_data_is_called_so(tmp_path):
    for seed in ("3", "4"):
        changed = {"data.seed": seed}
        write_run(tmp_path / seed, changed, metrics={"test/accuracy": 0.5}, test_set=seed)
    names = [section.name for section, _ in only(tmp_path).scores]
    assert names == ["data.seed=3", "data.seed=4"]


def test_repeats_of_a_seed_count_once(tmp_path):
    for number, value in enumerate((0.1, 0.9)):
        folder = write_run(tmp_path / f"{number}", {}, metrics={"test/accuracy": value})
        os.utime(folder / "results.json", (number, number))
    comparison = only(tmp_path)
    ((_, (score,)),) = comparison.scores
    assert (score.n, score.mean.value) == (1, 0.9)
    assert comparison.notes == [
        "1 run repeats configuration and seed of a newer one; the newest is counted"
    ]


def test_a_run_named_twice_is_one(sweep):
    assert len(runs_below([sweep, sweep / "gru1", sweep])) == len(runs_below([sweep]))


def test_missing_numbers_are_last_and_told(tmp_path):
    write_run(tmp_path / "a", {"model": "a"}, metrics={"test/accuracy": math.nan})
    write_run(tmp_path / "b", {"model": "b"}, metrics={"test/accuracy": 0.1})
    comparison = only(tmp_path)
    assert [s.configuration.name for s in comparison.scores[0][1]] == ["b", "a"]
    assert "cannot be compared" in verdict(comparison.contests[0], "larger")


def test_each_data_by_its_own_metric(tmp_path):
    scores = {"test/accuracy": 0.5, "test/rmse": 0.3}
    write_run(tmp_path / "a", {}, metrics=scores)
    write_run(tmp_path / "b", {}, metrics=scores, data="adding", headline="rmse")
    found = compare_folders([tmp_path])
    assert [comparison.metric for comparison in found.comparisons] == ["test/accuracy", "test/rmse"]
    for comparison in found.comparisons:
        assert [score.n for _, scores in comparison.scores for score in scores] == [1]
        assert not comparison.notes


def test_runs_without_the_metric_are_told(sweep):
    write_run(sweep / "more", {"model": "tcn"}, metrics={"test/loss": 0.1}, job=99)
    finished = [run for run in runs_below([sweep]) if run.status == "finished"]
    assert grouped(finished, "test/accuracy").notes == ["1 finished run has no test/accuracy"]


def test_configurations_without_common_data_are_not_compared(tmp_path):
    """Averaged over data, each was trained on data of its own."""
    for model, data in (("a", "p"), ("b", "q"), ("c", "q")):
        for seed in (1, 2):
            write_run(
                tmp_path / f"{model}{seed}",
                {"data": data, "model": model},
                seed=seed,
                metrics={"test/accuracy": {"a": 0.9, "b": 0.5, "c": 0.4}[model] + 0.01 * seed},
            )
    comparison = only(tmp_path, by=["model"], against="all")
    names = [(c.first.configuration.name, c.second.configuration.name) for c in comparison.contests]
    assert names == [("b", "c")]
    assert all(math.isfinite(contest.difference.value) for contest in comparison.contests)
    assert comparison.notes[-1] == (
        "a and b share no value of what they are averaged over and are not compared (2 such pairs)"
    )


def test_names_keep_their_keys(tmp_path):
    for number, (rate, size) in enumerate([("0.1", "8"), ("0.047", "8"), ("0.047", "16")]):
        changed = {"optimizer.lr": rate, "model": "gru", "model.encoder.hidden_size": size}
        write_run(tmp_path / str(number), changed, metrics={"test/accuracy": number / 10})
    ((_, scores),) = only(tmp_path).scores
    assert [score.configuration.name for score in scores] == [
        "lr=0.047 hidden_size=16",
        "lr=0.047 hidden_size=8",
        "lr=0.1 hidden_size=8",
    ]


def test_values_are_shown_and_not_how_they_were_written(tmp_path):
    config = {"a": {"b": 0.25, "c": "it's"}, "e": "two words"}
    written = {"a.b": "${oc.env:RATE}", "a.c": "'it\\'s'", "d": "'1,2'", "e": "two words"}
    for seed in (1, 2):
        folder = write_run(
            tmp_path / str(seed), written, seed=seed, metrics={"test/accuracy": 0.5}, job=seed
        )
        (folder / "config.yaml").write_text(json.dumps(config))
    run = runs_below([tmp_path])[0]
    shown = {"a.b": "0.25", "a.c": "it's", "d": "1,2", "e": "two words"}
    assert {key: run.changed[key] for key in written} == shown
    # The command line stays as it was written.
    assert run.given["a.b"] == "${oc.env:RATE}"


@pytest.fixture
def trials(tmp_path):
    """A search over a rate: the test set likes another trial than the validation does."""
    write_study(
        tmp_path, Study(["val/accuracy"], ["optimizer.lr"], {"optimizer.lr": 0.9, "model": 0.1})
    )
    for number, rate in enumerate(("0.0001", "0.00123", "0.0156", "0.0912")):
        write_run(
            tmp_path / str(number),
            {"optimizer.lr": rate, "model": "gru" if number % 2 else "lstm"},
            metrics={"val/accuracy": number / 10, "test/accuracy": 0.9 - number / 10},
            job=number,
        )
    return tmp_path


def test_trials_are_ranked_by_what_they_were_searched_for(trials):
    comparison = only(trials)
    assert comparison.metric == "val/accuracy"
    assert comparison.scores[0][1][0].configuration.label["optimizer.lr"] == "0.0912"
    # Unless another metric is asked for.
    assert only(trials, metrics=["test/accuracy"]).metric == "test/accuracy"


def test_runs_beside_a_search_are_ranked_by_their_test(trials):
    write_run(trials.parent / "alone", {}, metrics={"test/accuracy": 0.5, "val/accuracy": 0.5})
    found = compare_folders([trials, trials.parent / "alone"])
    counts = {
        each.metric: sum(score.n for _, scores in each.scores for score in scores)
        for each in found.comparisons
    }
    assert counts == {"val/accuracy": 4, "test/accuracy": 1}


@pytest.mark.parametrize("text", ["[]", "{}", '{"metrics": 3}', '{"metrics": [3]}', "{"])
def test_an_odd_record_of_a_search_is_none(trials, text):
    write_study(trials, Study([]))  # forgets what was read
    (trials / "study.json").write_text(text)
    assert only(trials).metric == "test/accuracy"
