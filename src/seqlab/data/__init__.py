"""Data: what is to be learned. Knows no network and no task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.data.adding import Adding
    from seqlab.data.addition import Addition
    from seqlab.data.air_passengers import AirPassengers
    from seqlab.data.ar import Ar
    from seqlab.data.batch import Batch, SeriesContext
    from seqlab.data.bracket_depth import BracketDepth
    from seqlab.data.classification import ClassificationDataset
    from seqlab.data.conll import Conll
    from seqlab.data.copy import Copy
    from seqlab.data.copy_memory import CopyMemory
    from seqlab.data.cycle_navigation import CycleNavigation
    from seqlab.data.datamodule import Dataset, SequenceDataModule
    from seqlab.data.dates import Dates
    from seqlab.data.duplicate import Duplicate
    from seqlab.data.entities import Entities
    from seqlab.data.even_pairs import EvenPairs
    from seqlab.data.examples import Examples
    from seqlab.data.first_sign import FirstSign
    from seqlab.data.generated_series import GeneratedSeries
    from seqlab.data.hmm_tags import HmmTags
    from seqlab.data.intermittent import Intermittent
    from seqlab.data.lorenz import Lorenz
    from seqlab.data.mackey_glass import MackeyGlass
    from seqlab.data.magic_token import MagicToken
    from seqlab.data.modular_arithmetic import ModularArithmetic
    from seqlab.data.motion import Motion
    from seqlab.data.pairs_file import PairsFile
    from seqlab.data.parity import Parity
    from seqlab.data.random_walk import RandomWalk
    from seqlab.data.recall import Recall
    from seqlab.data.regimes import Regimes
    from seqlab.data.reverse import Reverse
    from seqlab.data.running_parity import RunningParity
    from seqlab.data.seasonal import Seasonal
    from seqlab.data.selective_copy import SelectiveCopy
    from seqlab.data.sentiment import Sentiment
    from seqlab.data.seq2seq import Seq2SeqDataset, SymbolDataset
    from seqlab.data.series_dataset import SeriesDataset
    from seqlab.data.series_file import SeriesFile
    from seqlab.data.sines import Sines
    from seqlab.data.sort import Sort
    from seqlab.data.spec import Observation, SeriesSpec, Spec
    from seqlab.data.synthetic import Draw, Split, SyntheticDataset, valid_positions
    from seqlab.data.tagging import TaggingDataset
    from seqlab.data.token_sum_parity import TokenSumParity
    from seqlab.data.transliterate import Transliterate

__all__ = [
    "Adding",
    "Addition",
    "AirPassengers",
    "Ar",
    "Batch",
    "BracketDepth",
    "ClassificationDataset",
    "Conll",
    "Copy",
    "CopyMemory",
    "CycleNavigation",
    "Dataset",
    "Dates",
    "Draw",
    "Duplicate",
    "Entities",
    "EvenPairs",
    "Examples",
    "FirstSign",
    "GeneratedSeries",
    "HmmTags",
    "Intermittent",
    "Lorenz",
    "MackeyGlass",
    "MagicToken",
    "ModularArithmetic",
    "Motion",
    "Observation",
    "PairsFile",
    "Parity",
    "RandomWalk",
    "Recall",
    "Regimes",
    "Reverse",
    "RunningParity",
    "Seasonal",
    "SelectiveCopy",
    "Sentiment",
    "Seq2SeqDataset",
    "SequenceDataModule",
    "SeriesContext",
    "SeriesDataset",
    "SeriesFile",
    "SeriesSpec",
    "Sines",
    "Sort",
    "Spec",
    "Split",
    "SymbolDataset",
    "SyntheticDataset",
    "TaggingDataset",
    "TokenSumParity",
    "Transliterate",
    "valid_positions",
]
__getattr__ = lazy(__name__)
