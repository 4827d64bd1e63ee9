"""Quantiles of Student's t, which PyTorch lacks."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

# Nodes of the quadrature and steps of Newton's method: errors below 1e-5 from 2 degrees on.
NODES = 24
STEPS = 12


def student_t_quantile(freedom: Tensor, levels: Tensor) -> Tensor:
    """Solves F(t) = level for t.

    With t = √ν tan θ, F(t) = ½ + c ∫₀^θ cos^{ν−1} u du, which Gauss-Legendre quadrature
    integrates. F is concave above its median, so that Newton's method started from the normal
    quantile, which is nearer to the median, rises to the solution without overshooting.

    Args:
        freedom: degrees of freedom ν ≥ 2, any shape.
        levels: (level,) probabilities.

    Returns:
        (level, *shape)
    """
    nu = freedom.double()
    level = levels.double().view(-1, *(1 for _ in nu.shape))
    upper = torch.maximum(level, 1 - level).expand(-1, *nu.shape)
    log_constant = torch.lgamma((nu + 1) / 2) - torch.lgamma(nu / 2) - 0.5 * (nu * math.pi).log()
    points, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(NODES))
    points, weights = points.to(nu.device), weights.to(nu.device)
    root = nu.sqrt()
    t = torch.special.ndtri(upper)
    for _ in range(STEPS):
        angle = torch.atan(t / root)
        nodes = angle[..., None] * (points + 1) / 2
        powers = torch.cos(nodes) ** (nu - 1)[..., None]
        area = (powers * weights).sum(dim=-1) * angle / 2
        value = 0.5 + log_constant.exp() * root * area
        density = (log_constant - (nu + 1) / 2 * torch.log1p(t.square() / nu)).exp()
        t = t + (upper - value) / density
    return (t * torch.sign(level - 0.5)).to(freedom.dtype)
