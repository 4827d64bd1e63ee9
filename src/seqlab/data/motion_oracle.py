"""How people move in `motion`, and the likelihood of a window under each activity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

CHANNELS = ("acc x", "acc y", "acc z", "gyro x", "gyro y", "gyro z")
HARMONICS = (1, 2)
RATE = 25.0  # readings a second

# People: standard deviations of the logarithm of the pace, the vigour about 1, the turn of the
# sensor in radian, and the offset of each channel.
PACE, VIGOUR, TURN, OFFSET = 0.08, 0.2, 0.4, 0.15


@dataclass(frozen=True)
class Activity:
    """An activity as an average person does it.

    Attributes:
        name: its label.
        gravity: direction of gravity in the body's axes; z points up when standing.
        pace: steps a second.
        swings: for each channel the amplitudes of the pace and of its overtone.
        lag: by how much, in radian, each channel lags behind the one before.
    """

    name: str
    gravity: tuple[float, float, float]
    pace: float = 0.0
    swings: tuple[tuple[float, float], ...] = ((0.0, 0.0),) * len(CHANNELS)
    lag: float = 0.0


ACTIVITIES = (
    Activity(
        "walking",
        (0.0, 0.0, 1.0),
        1.8,
        ((0.20, 0.05), (0.10, 0.05), (0.30, 0.15), (0.25, 0.05), (0.30, 0.10), (0.15, 0.05)),
        0.7,
    ),
    Activity(
        "upstairs",
        (0.1, 0.0, 0.995),
        1.5,
        ((0.20, 0.10), (0.10, 0.05), (0.25, 0.10), (0.20, 0.05), (0.35, 0.10), (0.10, 0.05)),
        1.0,
    ),
    Activity(
        "downstairs",
        (-0.1, 0.0, 0.995),
        1.9,
        ((0.15, 0.10), (0.15, 0.05), (0.30, 0.20), (0.20, 0.10), (0.30, 0.10), (0.15, 0.05)),
        -0.7,
    ),
    Activity("sitting", (0.5, 0.0, 0.866)),
    Activity("standing", (0.0, 0.0, 1.0)),
    Activity("lying", (1.0, 0.0, 0.0)),
)


@dataclass(frozen=True, kw_only=True)
class MotionModel:
    """The generator's densities.

    The likelihood of a window integrates over everything but the activity: exactly over offsets
    and vigour, which are Gaussian and enter linearly, and on grids over pace, turn and phase.

    Args:
        noise: standard deviation of the noise.
        paces: points on the grid of paces.
        turns: points on the grid of turns.
        phases: points on the grid of phases.
    """

    noise: float
    paces: int = 17
    turns: int = 7
    phases: int = 12

    @cached_property
    def gravity(self) -> np.ndarray:
        """(activity, channel), 0 for the gyroscope."""
        return np.array([[*activity.gravity, 0.0, 0.0, 0.0] for activity in ACTIVITIES])

    @cached_property
    def swings(self) -> np.ndarray:
        """(activity, channel, harmonic), complex amplitudes."""
        lags = np.array([activity.lag for activity in ACTIVITIES])[:, None, None]
        shifts = lags * np.arange(len(CHANNELS))[:, None] * np.array(HARMONICS)
        return np.array([activity.swings for activity in ACTIVITIES]) * np.exp(-1j * shifts)

    @cached_property
    def steps(self) -> np.ndarray:
        """(activity,), radian from one reading to the next."""
        return np.array([2 * np.pi * activity.pace / RATE for activity in ACTIVITIES])

    @staticmethod
    def turned(values: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Turns both sensors about the body's axis: (..., channel) by angles (...)."""
        x, y, z = (values.reshape(*values.shape[:-1], 2, 3)[..., axis] for axis in range(3))
        cos, sin = np.cos(turn)[..., None], np.sin(turn)[..., None]
        result = np.stack([cos * x - sin * y, sin * x + cos * y, z + 0 * cos], axis=-1)
        return result.reshape(*result.shape[:-2], len(CHANNELS))

    @staticmethod
    def draw_people(rng: np.random.Generator, count: int) -> np.ndarray:
        """Factor on the pace, vigour, turn, and six offsets of each person, (9, people)."""
        scales = np.array([PACE, VIGOUR, TURN] + [OFFSET] * len(CHANNELS))[:, None]
        traits = scales * rng.standard_normal((len(scales), count))
        traits[0] = np.exp(traits[0])
        traits[1] += 1
        return traits

    def log_likelihood(self, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The log likelihood of each window (window, time, channel) under each activity.

        Returns:
            (window, activity), up to a constant for each window.
        """
        total = self.noise**2 + lengths * OFFSET**2
        sums = values.sum(1)  # padding is 0
        turns, turn_weights = _normal_grid(self.turns)
        columns = []
        for gravity, swings, step in zip(self.gravity, self.swings, self.steps, strict=True):
            pull = self.turned(gravity, TURN * turns)  # (turn, channel)
            fit = (sums @ pull.T - 0.5 * lengths[:, None] * (gravity @ gravity)) / total[:, None]
            fit += turn_weights
            if step:
                rotated = np.stack(
                    [self.turned(swings[:, k], TURN * turns) for k in range(len(HARMONICS))], -1
                )
                fit = fit + self._swing_evidence(values, lengths, pull, rotated, step)
            columns.append(_log_sum(fit))
        return np.stack(columns, axis=1)

    def _swing_evidence(
        self,
        values: np.ndarray,
        lengths: np.ndarray,
        pull: np.ndarray,
        swings: np.ndarray,
        step: float,
    ) -> np.ndarray:
        """What the swing adds to the log likelihood, (window, turn).

        With D the swing at vigour 1 and <·,·> the inner product that the covariance of noise and
        offset defines, the integral over the vigour α ~ N(1, v²) of
        exp(α<x − g, D> − α²<D, D>/2) is, with p = <x − g, D> and q = <D, D>,
        exp((p + v⁻²)²/(2(q + v⁻²)) − v⁻²/2) / √(1 + v²q).
        """
        noise, shrink = self.noise**2, OFFSET**2 / (self.noise**2 + lengths * OFFSET**2)
        factors, factor_weights = _normal_grid(self.paces)
        phases = np.arange(self.phases) * 2 * np.pi / self.phases
        precision = VIGOUR**-2
        time, sums = np.arange(values.shape[1]), values.sum(1)
        unturned = swings[self.turns // 2]
        parts = []
        for factor, weight in zip(np.exp(PACE * factors), factor_weights, strict=True):
            waves = np.exp(1j * factor * step * time[:, None] * np.arange(-1, 5))
            # S_k = Σ_t e^{ikωt} over each window's readings, k = −1 … 4.
            summed = {k: waves[:, k + 1].cumsum()[lengths - 1] for k in range(-1, 5)}
            p = np.zeros((len(values), self.turns, self.phases))
            q = np.zeros((len(values), self.phases))
            for h in HARMONICS:
                waved = np.einsum("ntc,t->nc", values, waves[:, h + 1].astype(np.complex64))
                x = (waved - (shrink * summed[h])[:, None] * sums) / noise
                one = summed[h] * (1 - shrink * lengths) / noise
                z = x @ swings[:, :, h - 1].T
                z -= one[:, None] * (pull * swings[:, :, h - 1]).sum(1)
                p += (z[..., None] * np.exp(1j * h * phases)).real
                for k in HARMONICS:
                    a, b = unturned[:, h - 1], unturned[:, k - 1]
                    same = summed[h + k] - shrink * summed[h] * summed[k]
                    other = summed[h - k] - shrink * summed[h] * summed[k].conj()
                    q += (
                        (a @ b) * same[:, None] * np.exp(1j * (h + k) * phases)
                        + (a @ b.conj()) * other[:, None] * np.exp(1j * (h - k) * phases)
                    ).real / (2 * noise)
            q = q[:, None] + precision
            logs = (p + precision) ** 2 / (2 * q) - 0.5 * np.log(q / precision)
            parts.append(_log_sum(logs) + weight)
        return _log_sum(np.stack(parts, axis=-1)) - precision / 2 - np.log(self.phases)


def _normal_grid(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Points from −3.5 to 3.5 and the logarithms of the standard normal's weights there."""
    grid = np.linspace(-3.5, 3.5, points)
    logs = -0.5 * grid**2
    return grid, logs - _log_sum(logs)


def _log_sum(logs: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of exponentials over the last axis."""
    top = logs.max(-1, keepdims=True)
    return np.log(np.exp(logs - top).sum(-1)) + top[..., 0]
