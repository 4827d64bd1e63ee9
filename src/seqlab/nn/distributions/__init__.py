"""What a forecast can be, with its loss, and the heads that make it from raw numbers."""

from seqlab.nn.distributions.forecast import (
    Forecast,
    LogForecast,
    Point,
    PointLoss,
    Quantiles,
    Samples,
    pinball,
)
from seqlab.nn.distributions.likelihoods import Gaussian, NegativeBinomial, StudentT

__all__ = [
    "Forecast",
    "Gaussian",
    "LogForecast",
    "NegativeBinomial",
    "Point",
    "PointLoss",
    "Quantiles",
    "Samples",
    "StudentT",
    "pinball",
]
