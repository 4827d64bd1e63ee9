"""Sensor windows: people, channels, and the oracle against a Monte Carlo of the generator."""

from __future__ import annotations

import numpy as np
import pytest

from seqlab.data.motion import Motion
from seqlab.data.motion_oracle import ACTIVITIES, OFFSET, PACE, RATE, TURN, VIGOUR, MotionModel
from seqlab.errors import InputError


@pytest.mark.parametrize("users", [5, 7, 200])
def test_no_person_is_in_two_splits(users):
    data = Motion(users=users, long_lengths=(65, 70))
    train, val, test = (set(data.people(split)) for split in ("train", "val", "test"))
    assert len(train) + len(val) + len(test) == users == len(train | val | test)
    assert min(len(train), len(val), len(test)) >= 1
    assert data.people("test_long") == data.people("test")


def test_windows_of_a_split_come_from_its_people_alone():
    # Without noise a standing window is its person's offsets and gravity.
    data = Motion(users=10, noise=1e-6, train_size=600, val_size=300, test_size=300)
    means = {}
    for split in data.splits:
        examples = data.split(split)
        standing = examples.inputs[examples.targets == data.label_names.index("standing"), :40]
        assert standing.std(1).max() < 1e-4
        means[split] = set(np.round(standing.mean(1).numpy()[:, 5], 3).tolist())
    assert [len(means[split]) for split in data.splits] == [6, 2, 2]
    assert not means["train"] & means["test"]
    assert not means["train"] & means["val"]
    assert not means["val"] & means["test"]


def window(rng, activity, length, noise):
    """One window by the equation in the docstring, channel by channel."""
    kind = ACTIVITIES[activity]
    pace = kind.pace * np.exp(PACE * rng.standard_normal())
    vigour, turn = 1 + VIGOUR * rng.standard_normal(), TURN * rng.standard_normal()
    offsets, phase = OFFSET * rng.standard_normal(6), rng.uniform(0, 2 * np.pi)
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    time = np.arange(length)
    body = np.tile([*kind.gravity, 0.0, 0.0, 0.0], (length, 1))
    for channel in range(6):
        for harmonic, amplitude in enumerate(kind.swings[channel], start=1):
            angle = harmonic * (2 * np.pi * pace * time / RATE + phase - kind.lag * channel)
            body[:, channel] += vigour * amplitude * np.cos(angle)
    turned = np.concatenate([body[:, :3] @ rotation.T, body[:, 3:] @ rotation.T], axis=1)
    return turned + offsets + noise * rng.standard_normal((length, 6))


def test_generator_has_the_moments_of_its_equation():
    data = Motion(train_size=6000, users=3000, min_length=50, max_length=50)
    examples = data.split("train")
    rng = np.random.default_rng(8)
    for activity in (0, 3, 5):
        ours = examples.inputs[examples.targets == activity].numpy().astype(float)
        theirs = np.stack([window(rng, activity, 50, data.noise) for _ in range(500)])
        for moment in (
            lambda x: x.mean((0, 1)),
            lambda x: x.std(1).mean(0),
            lambda x: x.mean(1).std(0),
            lambda x: np.abs(np.fft.rfft(x, axis=1)).mean(0)[1:8].ravel() / 10,
        ):
            assert np.abs(moment(ours) - moment(theirs)).max() < 0.05


def log_likelihood_by_sampling(x, activity, noise, rng, samples):
    """log p(window | activity): a mean over sampled people and phases, offsets integrated."""
    kind = ACTIVITIES[activity]
    length = len(x)
    pace = 2 * np.pi * kind.pace / RATE * np.exp(PACE * rng.standard_normal(samples))
    vigour, turn = 1 + VIGOUR * rng.standard_normal(samples), TURN * rng.standard_normal(samples)
    phase = rng.uniform(0, 2 * np.pi, samples)
    mean = np.tile([*kind.gravity, 0.0, 0.0, 0.0], (samples, length, 1))
    for channel in range(6):
        for harmonic, amplitude in enumerate(kind.swings[channel], start=1):
            angle = pace[:, None] * np.arange(length) + phase[:, None] - kind.lag * channel
            mean[..., channel] += vigour[:, None] * amplitude * np.cos(harmonic * angle)
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    for x_axis, y_axis in ((0, 1), (3, 4)):
        along, across = mean[..., x_axis].copy(), mean[..., y_axis].copy()
        mean[..., x_axis], mean[..., y_axis] = (
            cos * along - sin * across,
            sin * along + cos * across,
        )
    covariance = noise**2 * np.eye(length) + OFFSET**2
    rest = x - mean
    logs = -0.5 * np.einsum("stc,tu,suc->s", rest, np.linalg.inv(covariance), rest, optimize=True)
    return np.log(np.exp(logs - logs.max()).mean()) + logs.max()


def test_likelihood_is_that_of_sampled_people():
    # Few readings and much noise, so that plain sampling converges.
    noise, rng = 1.0, np.random.default_rng(4)
    lengths = np.array([8, 10, 6])
    values = np.zeros((3, 10, 6))
    for row, length in enumerate(lengths):
        values[row, :length] = window(rng, row, length, noise)
    ours = MotionModel(noise=noise).log_likelihood(values, lengths)
    for row, length in enumerate(lengths):
        theirs = np.array(
            [
                log_likelihood_by_sampling(values[row, :length], activity, noise, rng, 20_000)
                for activity in range(len(ACTIVITIES))
            ]
        )
        # Both are up to a constant for the window.
        assert np.ptp(ours[row] - theirs) < 0.06
        assert np.ptp(theirs) > 0.5


def test_optimum_is_what_the_posterior_itself_expects():
    data = Motion(test_size=1000, users=5000)
    test = data.split("test")
    logs = data._model.log_likelihood(test.inputs.numpy(), test.lengths.numpy())
    posterior = np.exp(logs - logs.max(1, keepdims=True))
    posterior /= posterior.sum(1, keepdims=True)
    # An oracle that is right as often as it says has the right densities.
    accuracy = (posterior.argmax(1) == test.targets.numpy()).mean()
    assert posterior.max(1).mean() == pytest.approx(accuracy, abs=0.022)
    assert data.spec.optimum == pytest.approx(accuracy)
    assert 0.9 < accuracy < 0.99


def test_a_finer_grid_decides_alike():
    data = Motion(test_size=300)
    test = data.split("test")
    answers = [
        MotionModel(noise=data.noise, **grid)
        .log_likelihood(test.inputs.numpy(), test.lengths.numpy())
        .argmax(1)
        for grid in ({}, {"paces": 41, "turns": 15, "phases": 48})
    ]
    assert (answers[0] == answers[1]).mean() > 0.985


def test_optimum_falls_with_noise_and_knows_the_balance():
    optima = [Motion(test_size=400, noise=noise).spec.optimum for noise in (0.2, 0.8)]
    assert optima[0] > optima[1] + 0.05
    mostly = Motion(test_size=400, noise=5.0, balance=[0.9, 0.02, 0.02, 0.02, 0.02, 0.02])
    assert mostly.spec.trivial == pytest.approx(0.9)
    assert mostly.spec.optimum >= 0.87


def test_channels_and_activities_are_named():
    spec = Motion().spec
    assert spec.kind == "values"
    assert spec.input_size == len(spec.input_names) == 6
    assert spec.trivial == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("settings", "told"), [({"users": 4}, "users=4"), ({"noise": 0}, "noise=0")]
)
def test_refuses(settings, told):
    with pytest.raises(InputError, match=told):
        Motion(**settings)
