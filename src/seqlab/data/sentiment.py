"""Is this short review for or against?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from seqlab.data.batch import Examples, Spec
from seqlab.data.classification import ClassificationDataset
from seqlab.data.review_words import LEXICON, OPENERS, SUBJECTS, Phrases
from seqlab.data.synthetic import Draw, Split, valid_positions
from seqlab.errors import InputError, check_probability
