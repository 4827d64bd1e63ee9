"""What a task shows is what its network does; each family shows what it has and no more."""

import pytest
import torch
from hydra import compose, initialize_config_dir

from seqlab.build import build_data, build_network, build_task
from tests.conftest import ROOT

SIZES = ("data.train_size=32", "data.val_size=8", "data.test_size=8", "model=bigru_attn")
SELF = "model/attention@model.self_attention=dot"
HAS = {
    "classification": (("data=magic_token", *SIZES, SELF), {"pooled", "self_attention"}),
    "tagging": (
        ("data=entities", *SIZES, "task.crf=true"),
        {"tags", "transitions", "self_attention"},
    ),
    "seq2seq": (("data=copy", *SIZES, SELF), {"alignment", "written", "self_attention"}),
    "forecasting": (("data=sines", "data.num_series=2", "data.length=200"), {"forecasts"}),
}
# The same without what is optional.
LESS = {
    "classification": (("data=magic_token", *SIZES[:3], "model=bigru"), set()),
    "tagging": (("data=entities", *SIZES[:3], "model=bigru"), {"tags"}),
    "seq2seq": (("data=copy", *SIZES[:3], "model=bigru"), {"written"}),
}


def built(overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", list(overrides))
    data = build_data(config)
    torch.manual_seed(0)
    task = build_task(config, build_network(config, data.spec), data.spec)
    examples = data.examples("val")
    return task.eval(), examples.batch(torch.arange(min(4, len(examples))))


def views(task, batch):
    with torch.inference_mode():
        found = {
            "pooled": task.pooled(batch),
            "self_attention": task.self_attention(batch),
            "alignment": task.alignment(batch),
            "written": task.written(batch, 3),
            "tags": task.tags(batch),
            "transitions": task.transitions(),
            "forecasts": task.forecasts(batch),
        }
    return {name: view for name, view in found.items() if view is not None}


@pytest.mark.parametrize("case", [HAS, LESS], ids=["all", "less"])
@pytest.mark.parametrize("family", HAS)
def test_each_family_shows_what_it_has(family, case):
    if family not in case:
        pytest.skip("nothing of it is optional")
    overrides, names = case[family]
    task, batch = built(overrides)
    assert set(views(task, batch)) == names


def sums_to_one(weights, valid):
    return torch.allclose(weights.sum(-1)[valid], torch.ones(int(valid.sum())), atol=1e-5)


def test_a_classifiers_views():
    task, batch = built(HAS["classification"][0])
    shown = views(task, batch)
    logits, weights = task.network(batch.inputs, batch.lengths)
    assert torch.equal(shown["pooled"].predicted, logits.argmax(-1))
    assert torch.equal(shown["pooled"].weights, weights)
    valid = torch.arange(batch.inputs.shape[1]) < batch.lengths[:, None]
    assert sums_to_one(shown["self_attention"], valid)


def test_a_taggers_views():
    task, batch = built(HAS["tagging"][0])
    with torch.no_grad():
        task.network.crf.transitions.normal_()
        task.network.crf.start.normal_()
    shown = views(task, batch)
    scores, crf = shown["transitions"], task.network.crf
    allowed = scores[:-1, :-1].isfinite()
    assert torch.equal(scores[:-1, :-1][allowed], crf.transitions.detach()[allowed])
    starts = scores[-1, :-1].isfinite()
    assert torch.equal(scores[-1, :-1][starts], crf.start.detach()[starts])
    assert scores[-1, -1] == -torch.inf  # no move from the start to the end
    assert not allowed.all()  # the scheme forbids some
    emissions, weights = task.network(batch.inputs, batch.lengths)
    tags, _ = crf.decode(emissions, batch.lengths)
    assert torch.equal(shown["tags"].tags, tags)
    assert torch.equal(shown["self_attention"], weights)


def test_a_decoders_views():
    task, batch = built(HAS["seq2seq"][0])
    shown = views(task, batch)
    _, weights = task.network(batch.inputs, batch.lengths, batch.targets)
    assert torch.allclose(shown["alignment"], weights)
    output, beams = shown["written"]
    assert output.tokens.shape[1] == 1
    assert beams.tokens.shape[1] == 3
    assert (beams.scores.diff(dim=1) <= 0).all()


def test_a_forecasters_views():
    task, batch = built(HAS["forecasting"][0])
    shown = views(task, batch)["forecasts"]
    assert torch.equal(shown.forecast.point(), task.predict(batch).forecast.point())
    assert shown.intervals == tuple(task.intervals)
    assert not shown.is_count
