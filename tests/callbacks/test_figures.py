"""Runs leave their pictures in the folder and in TensorBoard, and need neither."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.testing import assert_close

from seqlab.callbacks.attention import handful
from seqlab.callbacks.drawing import Strip, strips
from seqlab.data.batch import Batch
from seqlab.tasks.classification import ClassificationMeter
from tests.conftest import SHORT, SMALL

PICTURES = {"val/attention", "test/attention", "val/confusion", "test/confusion"}
LONG = {"test_long/confusion"}


def files(folder):
    return {path.name for path in (folder / "figures").iterdir()}


def file_names(tags):
    return {f"{tag.replace('/', '_')}.png" for tag in tags}


def pixels(png):
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture)


def events(folder):
    # No reservoir: every entry counts.
    return EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()


def test_pictures_are_in_the_folder_and_in_tensorboard(train, tmp_path):
    folder = tmp_path / "run"
    # A rate of zero leaves the model as it is: only the step in the title may differ.
    train(*SMALL, *SHORT, "trainer.max_epochs=2", "optimizer=sgd", "optimizer.lr=0.0")
    found = events(folder)
    assert set(found.Tags()["images"]) == PICTURES | LONG
    assert files(folder) == file_names(PICTURES | LONG)
    # One entry a validation, at the steps of the scalars, and none for the sanity check.
    assert [image.step for image in found.Images("val/attention")] == [2, 4]
    assert [image.step for image in found.Images("test/attention")] == [4]
    for tag in PICTURES | LONG:
        (name,) = file_names([tag])
        last = found.Images(tag)[-1]
        assert (folder / "figures" / name).read_bytes() == last.encoded_image_string
        assert pixels(last.encoded_image_string).shape == (last.height, last.width, 3)
        assert pixels(last.encoded_image_string).std() > 5
    first, second, final = (
        pixels(image.encoded_image_string)[40:]
        for tag in ("val/attention", "test/attention")
        for image in found.Images(tag)
    )
    np.testing.assert_array_equal(first, second)
    # Validation examples are shown while training, test examples after the tests.
    assert first.shape != final.shape or (first != final).any()


def test_no_logger_no_entries_and_no_weights_no_picture_of_attention(train, tmp_path):
    folder = tmp_path / "run"
    train("model=gru", "logger=none", *SMALL, *SHORT)
    assert not list(folder.glob("events*"))
    assert files(folder) == file_names(tag for tag in PICTURES | LONG if "attention" not in tag)


@pytest.mark.parametrize(
    ("data", "precision"), [("magic_token", "bf16-true"), ("first_sign", "64-true")]
)
def test_self_attention_and_fast_dev_run_in_other_precisions(train, tmp_path, data, precision):
    train(
        f"data={data}",
        f"trainer.precision={precision}",
        "model/attention@model.self_attention=scaled_dot",
        "task.callbacks.self_attention.sequences=1",
        "task.callbacks.attention.sequences=1",
        "trainer.fast_dev_run=true",
        *SMALL,
        *SHORT[-3:],
    )
    folder = tmp_path / "run"
    tags = {"val/self_attention_1", "test/self_attention_1"}
    assert files(folder) == file_names(PICTURES | LONG | tags)
    # One sequence of each class in any case.
    content = np.zeros((5, 1)) if data == "first_sign" else ["1"]
    two = strips([Strip(content, np.ones(len(content)), "x", "x")] * 2, "")
    assert len(pixels((folder / "figures" / "val_attention.png").read_bytes())) == two.height


def test_handful_takes_each_class_in_turn():
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 3, (50,), generator=generator).to(torch.uint8)
    chosen = handful(targets, 7)
    assert targets[chosen].tolist() == [0, 1, 2, 0, 1, 2, 0]
    for label in range(3):
        mine = [index for index in chosen.tolist() if targets[index] == label]
        assert mine == torch.nonzero(targets == label).flatten().tolist()[: len(mine)]


def test_handful_of_what_there_is():
    assert handful(torch.tensor([2, 2]), 5).tolist() == [0, 1]
    assert sorted(handful(torch.tensor([1, 0, 1, 1]), 9).tolist()) == [0, 1, 2, 3]


def test_attention_on_evidence_is_the_mean_weight_of_sequences_that_have_any():
    meter = ClassificationMeter(("a", "b"))
    weights = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25], [0.6, 0.4, 0.0]])
    evidence = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
    batch = Batch(
        inputs=torch.ones(3, 3, dtype=torch.long),
        lengths=torch.tensor([3, 3, 2]),
        targets=torch.tensor([0, 1, 0]),
        evidence=evidence,
    )
    meter.update(torch.tensor(0.5), (torch.zeros(3, 2), weights), batch)
    assert_close(meter.compute()["attention_on_evidence"].item(), (0.8 + 0.4) / 2)


@pytest.mark.parametrize("lacking", ["weights", "evidence"])
def test_no_attention_on_evidence_where_either_is_lacking(lacking):
    meter = ClassificationMeter(("a", "b"))
    batch = Batch(
        inputs=torch.ones(2, 3, dtype=torch.long),
        lengths=torch.tensor([3, 3]),
        targets=torch.tensor([0, 1]),
        evidence=None if lacking == "evidence" else torch.ones(2, 3, dtype=torch.bool),
    )
    weights = None if lacking == "weights" else torch.full((2, 3), 1 / 3)
    meter.update(torch.tensor(0.5), (torch.zeros(2, 2), weights), batch)
    assert "attention_on_evidence" not in meter.compute()
