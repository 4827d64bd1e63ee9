"""All steps of a forecast at once, from one vector."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class DirectHorizon(nn.Module):
    """All steps at once from one vector.

    Without covariates of the future one matrix; with them, for each step h,
    W ReLU(V_h s + U x_h + b).

    Args:
        size: features of the vector.
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
