"""The forecaster: put a window into its frame, encode it, decode the horizon, undo the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from seqlab.data.batch import SeriesContext
from seqlab.data.spec import Spec
from seqlab.errors import InputError, check_probability
from seqlab.networks.classifier import PoolingName, make_pooling
from seqlab.networks.forecast_settings import check_settings
from seqlab.networks.frame import Frame, History, frame_window
from seqlab.networks.horizon import AutoregressiveHorizon, DecoderContext
from seqlab.networks.reader import Reader
from seqlab.nn.attention import Attention
from seqlab.nn.compiling import uncompiled
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.distributions import Forecast, Samples
from seqlab.nn.distributions.heads import HeadName, make_head
from seqlab.nn.horizon import DirectHorizon
from seqlab.nn.masking import valid_mask
from seqlab.nn.scaling import NORMALISERS, ReversibleAffine

NormaliserName = Literal["none", "standard", "robust", "mean", "last", "reversible"]


@dataclass
class Outcome:
    """What the forecaster returns.

    Attributes:
        forecast: of (batch, horizon, channel), in the window's frame.
        frame: leads from the frame to the units of the series.
        weights: (batch, horizon or 1, time) of the attention over the history; None for none.
    """

    forecast: Forecast
    frame: Frame
    weights: Tensor | None


class Forecaster(nn.Module):
    """Forecasts the horizon of a window, each value by itself uncertain.

    Args:
        spec: what the data looks like.
        reader: makes the network that turns the history into states.
        attention: makes the attention, from query and key size: of the decoder where it attends,
            else to pool the states with.
        decoder: makes the decoder from input size, key size, attention and readout size. It
            decodes step by step and reads its own forecast of the step before. None: all steps at
            once from the pooled states.
        head: what is forecast: a point (named by its loss), quantiles, or a distribution.
        quantiles: levels of the quantile head.
        normaliser: location and scale of a window, from its past alone.
        log: forecast logarithms; for positive values.
        difference: forecast differences of this lag, 1 or a season; 0 for none.
        pooling: how the states become one vector; see `Classifier`.
        series_embedding: features of an embedding of the series' number; 0 for none.
        dropout: probability of zeroing a feature of the pooled states.

    Raises:
        InputError: a combination that cannot work, or data of another family.
    """

    covariate_location: Tensor
    covariate_scale: Tensor

    def __init__(
        self,
        spec: Spec,
        *,
        reader: Callable[[Spec], Reader],
        attention: Callable[[int, int], Attention] | None = None,
        decoder: Callable[..., AttentionDecoder] | None = None,
        head: HeadName = "mse",
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        normaliser: NormaliserName = "standard",
        log: bool = False,
        difference: int = 0,
        pooling: PoolingName = "auto",
        series_embedding: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_probability("dropout", dropout)
        series = check_settings(
            spec,
            head=head,
            normaliser=normaliser,
            stepwise=decoder is not None,
            log=log,
            difference=difference,
            series_embedding=series_embedding,
        )
        self.spec = series
        self.channels = spec.output_size
        self.head = make_head(head, quantiles)
        self.log = log
        self.difference = difference
        self.normaliser = NORMALISERS["standard" if normaliser == "reversible" else normaliser]()
        self.affine = ReversibleAffine(self.channels) if normaliser == "reversible" else None
        self.register_buffer("covariate_location", _float64(series.covariate_location))
        self.register_buffer("covariate_scale", _float64(series.covariate_scale))
        self.embedding = (
            nn.Embedding(series.num_series, series_embedding) if series_embedding else None
        )
        features = spec.input_size + series.static_size + series_embedding
        features += self.channels if series.missing else 0
        self.reader = reader(replace(spec, input_size=features))
        size = self.reader.output_size
        outputs = self.channels * self.head.size
        sizes = {"outputs": outputs, "horizon": series.horizon, "future_size": series.known_size}
        self.horizon = (
            DirectHorizon(size, **sizes)
            if decoder is None
            else AutoregressiveHorizon(
                size, channels=self.channels, decoder=decoder, attention=attention, **sizes
            )
        )
        attends = (
            isinstance(self.horizon, AutoregressiveHorizon)
            and self.horizon.decoder.attention is not None
        )
        directions = self.reader.encoder.directions
        self.pooling = make_pooling(pooling, None if attends else attention, size, directions)
        self.dropout = nn.Dropout(dropout)

    @property
    def stepwise(self) -> bool:
        """Whether a decoder reads its own forecast of the step before."""
        return isinstance(self.horizon, AutoregressiveHorizon)

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        context: SeriesContext | None = None,
        *,
        targets: Tensor | None = None,
        teacher_forcing_ratio: float = 0.0,
        num_samples: int = 0,
    ) -> Outcome:
        """Forecasts.

        Args:
            inputs: (batch, time, feature): the past values, NaN where missing, and covariates.
            lengths: (batch,) valid positions.
            context: covariates of the future, static ones and the series' number, where used.
            targets: (batch, horizon, channel) the true values, for teacher forcing.
            teacher_forcing_ratio: probability that a decoder reads the true value before a step
                instead of its own, for each window and step by itself (Bengio et al. 2015); a
                missing value is never read.
            num_samples: paths to sample where a decoder reads its own forecasts and these are
                distributions; 0 feeds back the point forecast.
        """
        frame, history = self._frame(inputs, lengths)
        features, future = self._features(inputs, history, context)
        states, _, _ = self.reader(features, history.lengths, need_state=False)
        summary, weights = self.pooling(states, history.lengths)
        summary = self.dropout(summary)
        if isinstance(self.horizon, DirectHorizon):
            forecast = self._forecast(self.horizon(summary, future), frame)
            weights = None if weights is None else weights[:, None]
        else:
            mask = valid_mask(history.lengths, states.shape[1])
            start = self.horizon.context(states, mask, summary, history.before, future)
            truth = None if targets is None else frame.scaled(targets)
            forecast, weights = self._decode(
                self.horizon,
                start,
                frame,
                truth=truth,
                teacher_forcing_ratio=teacher_forcing_ratio,
                num_samples=num_samples,
            )
        if self.head.is_count:
            # A count's likelihood is that of its own units.
            frame = Frame(torch.zeros_like(frame.base), torch.ones_like(frame.scale))
        return Outcome(forecast, frame, weights)

    def _frame(self, inputs: Tensor, lengths: Tensor) -> tuple[Frame, History]:
        if not self.spec.autoregressive:
            zeros = inputs.new_zeros(len(inputs), 1, self.channels, dtype=torch.float64)
            observed = torch.ones_like(inputs, dtype=torch.bool)
            return Frame(zeros, zeros + 1), History(inputs, observed, lengths, zeros[:, 0])
        frame, history = frame_window(
            inputs[..., : self.channels],
            lengths,
            normaliser=self.normaliser,
            horizon=self.spec.horizon,
            log=self.log,
            difference=self.difference,
        )
        if self.affine is not None:
            history.values = self.affine(history.values).masked_fill(~history.observed, 0.0)
        return frame, history

    def _features(
        self, inputs: Tensor, history: History, context: SeriesContext | None
    ) -> tuple[Tensor, Tensor | None]:
        """The reader's features (batch, time, feature), and the future covariates."""
        spec = self.spec
        parts = [history.values]
        future = None
        if spec.missing:
            parts.append(history.observed.to(history.values.dtype))
        dynamic = spec.past_size + spec.known_size
        location, scale = self.covariate_location, self.covariate_scale
        if dynamic and spec.autoregressive:
            covariates = inputs[:, self.difference :, self.channels :]
            parts.append((covariates - location[:dynamic]) / scale[:dynamic])
        if spec.known_size or spec.static_size or self.embedding is not None:
            if context is None:
                raise InputError(
                    "this forecaster reads covariates or the series' number; pass the context of "
                    "the batch too"
                )
            known = slice(spec.past_size, dynamic)
            if context.future is not None:
                future = (context.future - location[known]) / scale[known]
                future = future.to(next(self.horizon.parameters()).dtype)
            constant = []
            if context.static is not None:
                constant.append((context.static - location[dynamic:]) / scale[dynamic:])
            if self.embedding is not None:
                constant.append(self.embedding(context.series))
            time = history.values.shape[1]
            parts += [part[:, None].expand(-1, time, -1) for part in constant]
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)), future

    def _forecast(self, raw: Tensor, frame: Frame) -> Forecast:
        """From (batch, …, outputs) raw numbers to a forecast of (batch, …, channel)."""
        # Whatever the network's precision, a forecast is as exact as its series.
        forecast = self.head(raw.double().unflatten(-1, (self.channels, -1)))
        if self.affine is not None:
            forecast = forecast.affine(*self.affine.inverse())
        if self.head.is_count:
            scale = frame.scale if raw.ndim == 3 else frame.scale[:, 0]
            forecast = forecast.affine(torch.zeros_like(scale), scale)
        return forecast

    def _decode(
        self,
        horizon: AutoregressiveHorizon,
        start: DecoderContext,
        frame: Frame,
        *,
        truth: Tensor | None,
        teacher_forcing_ratio: float,
        num_samples: int,
    ) -> tuple[Forecast, Tensor | None]:
        """The decoder's forecast, and the weights of its attention."""
        if truth is not None and teacher_forcing_ratio >= 1 and not self.spec.missing:
            raw, weights = horizon.teacher_forced(start, truth)
            return self._forecast(raw, frame), weights
        if num_samples and self.head.is_probabilistic:
            return self._sample_paths(horizon, start, frame, num_samples)

        def next_value(step: int, raw: Tensor) -> Tensor:
            value = self._value(raw, frame, lambda forecast: forecast.point())
            if truth is None or teacher_forcing_ratio <= 0:
                return value
            true = truth[:, step]
            is_forced = torch.rand(len(true), 1, device=true.device) < teacher_forcing_ratio
            return torch.where(is_forced & true.isfinite(), true.nan_to_num(0.0), value)

        raw, weights = uncompiled(horizon.autoregressive)(start, next_value)
        return self._forecast(raw, frame), weights

    def _sample_paths(
        self, horizon: AutoregressiveHorizon, start: DecoderContext, frame: Frame, count: int
    ) -> tuple[Forecast, Tensor | None]:
        """Sampled paths of each window, and the mean of their weights."""
        rows = torch.arange(len(start.before), device=start.before.device).repeat_interleave(count)
        frames = Frame(frame.base[rows], frame.scale[rows])
        steps = []

        def next_value(step: int, raw: Tensor) -> Tensor:
            steps.append(self._value(raw, frames, lambda forecast: forecast.sample(1)[0]))
            return steps[-1]

        _, weights = uncompiled(horizon.autoregressive)(start, next_value, rows)
        values = torch.stack(steps, dim=1)
        if self.head.is_count:
            values = (values * frames.scale).round()
        if weights is not None:
            weights = weights.unflatten(0, (-1, count)).mean(dim=1)
        return Samples(values=values.unflatten(0, (-1, count)).movedim(1, 0)), weights

    def _value(self, raw: Tensor, frame: Frame, choose: Callable[[Forecast], Tensor]) -> Tensor:
        """One value (batch, channel) of a step's forecast, in the frame."""
        value = choose(self._forecast(raw, frame))
        return value / frame.scale[:, 0] if self.head.is_count else value


def _float64(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
