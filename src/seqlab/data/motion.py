"""What is the person doing who carries this sensor?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seqlab.data.classification import ClassificationDataset
from seqlab.data.motion_oracle import ACTIVITIES, CHANNELS, HARMONICS, MotionModel
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, valid_positions
from seqlab.errors import InputError, check_at_least

# Of so many people, one validates and one tests.
SHARE = 5


@dataclass(kw_only=True)
class Motion(ClassificationDataset):
    """The label is the activity in a window of six motion sensors, as in activity recognition.

    Example: 64 readings at 25 Hz of accelerometer (x, y, z, in g) and gyroscope (x, y, z, in
    rad/s). Gravity along z and a swing of 1.8 Hz with its overtone is "walking"; gravity along z
    and no swing is "standing"; gravity along x is "lying".

    A window is x_t = R(g + αΣ_h Re(A_h e^{ih(ωt + φ)})) + b + ε_t, with gravity g, swing A and
    pace ω of the activity, and of the person a factor on ω, the vigour α, the turn R of the
    sensor about the body's axis, and offsets b of the six channels. The phase φ is the window's
    own, ε is noise. No person occurs in two splits. The optimum is what the posterior of an oracle
    reaches on the test windows that knows all this except person and phase.

    Args:
        users: number of people: a fifth each for validation and test, the others for training.
        noise: standard deviation of the noise, in g and rad/s.
    """

    min_length: int = 48
    max_length: int = 64
    users: int = 600
    noise: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.users", self.users, SHARE)
        if not self.noise > 0:
            raise InputError(f"data.noise={self.noise} must be above 0")

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(activity.name for activity in ACTIVITIES)

    @property
    def spec(self) -> Spec:
        return self.describe(
            kind="values",
            input_size=len(CHANNELS),
            optimum=self._best_accuracy,
            input_names=CHANNELS,
        )

    def people(self, split: Split) -> range:
        """The numbers of the people whose windows a split holds."""
        part = self.users // SHARE
        first = {"train": 2 * part, "val": part}.get(split, 0)
        return range(first, self.users if split == "train" else first + part)

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        people = self.people(split)
        person = self._traits[:, rng.integers(people.start, people.stop, len(lengths))]
        pace, vigour, turn, offsets = person[0], person[1], person[2], person[3:].T
        labels = rng.integers(0, len(ACTIVITIES), len(lengths), np.uint8)
        phases = rng.uniform(0, 2 * np.pi, len(lengths))

        # The turn leaves time alone, so that it may as well turn gravity and swing.
        gravity = self._model.turned(self._model.gravity[labels], turn)
        swings = self._model.swings[labels] * vigour[:, None, None]
        angle = np.arange(lengths.max()) * (pace * self._model.steps[labels])[:, None]
        angle += phases[:, None]
        values = rng.standard_normal((*angle.shape, len(CHANNELS)), np.float32)
        values *= self.noise
        values += (gravity + offsets)[:, None].astype(np.float32)
        for harmonic in HARMONICS:
            swing = self._model.turned(swings[..., harmonic - 1], turn)[:, None]
            cos, sin = (wave(harmonic * angle).astype(np.float32) for wave in (np.cos, np.sin))
            values += np.real(swing).astype(np.float32) * cos[..., None]
            values -= np.imag(swing).astype(np.float32) * sin[..., None]
        values *= valid_positions(lengths)[..., None]
        return Draw(values, labels)

    @cached_property
    def _model(self) -> MotionModel:
        return MotionModel(noise=self.noise)

    @cached_property
    def _traits(self) -> np.ndarray:
        return self._model.draw_people(np.random.default_rng([self.seed, 1000]), self.users)

    @cached_property
    def _best_accuracy(self) -> float:
        test = self.split("test")
        log_posterior = self._model.log_likelihood(test.inputs.numpy(), test.lengths.numpy())
        with np.errstate(divide="ignore"):
            log_posterior += np.log(self.shares)
        return float((log_posterior.argmax(1) == test.targets.numpy()).mean())
