"""From what was read of a series to raw numbers for each step of the horizon."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from seqlab.nn.attention import Attention, Prepared
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.layer import RecurrentLayer


class DirectHorizon(nn.Module):
    """All steps at once from one vector.

    Without covariates of the future one matrix; with them, for each step h,
    W ReLU(V_h s + U x_h + b).

    Args:
        size: features of what was read.
        horizon: steps.
        outputs: raw numbers a step.
        future_size: covariates known for the future.
    """

    def __init__(self, size: int, *, horizon: int, outputs: int, future_size: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.outputs = outputs
        steps = size if future_size else outputs
        self.project = nn.Linear(size, horizon * steps)
        self.project_future = nn.Linear(future_size, steps, bias=False) if future_size else None
        self.output = nn.Linear(steps, outputs) if future_size else None

    def forward(
        self,
        summary: Float[Tensor, "batch size"],
        future: Float[Tensor, "batch horizon covariate"] | None,
    ) -> Float[Tensor, "batch horizon outputs"]:
        steps = self.project(summary).unflatten(-1, (self.horizon, -1))
        if self.project_future is None or self.output is None:
            return steps
        return self.output(F.relu(steps + self.project_future(future)))


class StepwiseHorizon(nn.Module):
    """Step by step: a GRU that reads the value before, and may attend to the history.

    h_0 = tanh(W s); h_t = GRU([y_{t−1}, x_t], h_{t−1}); o_t = V [h_t, c_t] with the context c_t
    that h_t attends to (after the cell, as in Luong et al. 2015, section 3).

    Args:
        size: features of what was read, and of the decoder's state.
        channels: values forecast together.
        outputs: raw numbers a step.
        future_size: covariates known for the future.
        attention: attends from the decoder's state to the history; None for none.
    """

    def __init__(
        self,
        size: int,
        *,
        channels: int,
        outputs: int,
        future_size: int,
        attention: Attention | None,
    ) -> None:
        super().__init__()
        self.bridge = nn.Linear(size, size)
        self.recurrence = RecurrentLayer(channels + future_size, size, cell=GRUCell)
        self.attention = attention
        self.output = nn.Linear(2 * size if attention else size, outputs)

    def start(self, summary: Float[Tensor, "batch size"]) -> tuple[Tensor]:
        """The state before the first step."""
        return (torch.tanh(self.bridge(summary)),)

    def forward(
        self,
        before: Float[Tensor, "batch horizon channel"],
        future: Float[Tensor, "batch horizon covariate"] | None,
        state: tuple[Tensor, ...],
        keys: Prepared | None,
        mask: Bool[Tensor, "batch time"],
    ) -> tuple[Float[Tensor, "batch horizon outputs"], Float[Tensor, "batch horizon time"] | None]:
        """All steps in one pass, as the values before each step are given.

        Args:
            before: the value before each step.
            future: covariates of each step.
            state: from `start`.
            keys: the history, prepared by the attention.
            mask: true where the history is valid.

        Returns:
            raw numbers, and the weights of the attention.
        """
        inputs = before if future is None else torch.cat([before, future], dim=-1)
        lengths = torch.full((len(inputs),), inputs.shape[1], device=inputs.device)
        states, _ = self.recurrence(inputs, lengths, state, need_state=False)
        return self._read_out(states, keys, mask)

    def step(
        self,
        before: Float[Tensor, "paths channel"],
        future: Float[Tensor, "paths covariate"] | None,
        state: tuple[Tensor, ...],
        keys: Prepared | None,
        mask: Bool[Tensor, "batch time"],
    ) -> tuple[Float[Tensor, "paths outputs"], Float[Tensor, "batch time"] | None, tuple]:
        """One step of one or more paths a window, which share the window's keys.

        Returns:
            raw numbers, the attention's weights as a mean over a window's paths, and the state.
        """
        inputs = before if future is None else torch.cat([before, future], dim=-1)
        output, state = self.recurrence.step(inputs, state)
        raw, weights = self._read_out(output.unflatten(0, (len(mask), -1)), keys, mask)
        return raw.flatten(0, 1), None if weights is None else weights.mean(dim=1), state

    def _read_out(
        self, states: Tensor, keys: Prepared | None, mask: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        if self.attention is None or keys is None:
            return self.output(states), None
        context, weights = self.attention.attend(states, keys, mask[:, None])
        return self.output(torch.cat([states, context], dim=-1)), weights
