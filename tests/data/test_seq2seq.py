import datetime
import re
from collections import Counter

import pytest
import torch

from seqlab.data.addition import Addition
from seqlab.data.copy import Copy
from seqlab.data.copy_memory import CopyMemory
from seqlab.data.dates import DAYS, FORMS, MONTHS, Dates
from seqlab.data.duplicate import Duplicate
from seqlab.data.reverse import Reverse
from seqlab.data.selective_copy import SelectiveCopy
from seqlab.data.sort import Sort
from seqlab.data.transliterate import Transliterate
from seqlab.data.vocabulary import END
from seqlab.errors import InputError

SIZES = {"train_size": 300, "val_size": 100, "test_size": 100}
MADE = {
    Copy: {"long_lengths": [21, 30]},
    Reverse: {"long_lengths": [21, 30]},
    Sort: {"long_lengths": [21, 30]},
    Duplicate: {"long_lengths": [21, 30]},
    CopyMemory: {"min_length": 12, "long_lengths": [25, 40]},
    SelectiveCopy: {"long_lengths": [25, 40]},
    Addition: {"min_length": 3, "max_length": 9, "long_lengths": [10, 15]},
    Dates: {"max_length": 24, "long_lengths": [25, 40]},
    Transliterate: {"long_lengths": [21, 30]},
}


def make(kind, **more):
    return kind(**{**SIZES, **MADE[kind], **more})


def rows(data, split):
    """Names of each source and target, without padding and end."""
    examples = data.split(split)
    for row in range(len(examples)):
        source = examples.inputs[row, : examples.lengths[row]].tolist()
        length = examples.target_lengths[row]
        target = examples.targets[row, :length].tolist()
        assert target[-1] == END
        assert (examples.targets[row, length:] == 0).all()
        assert (examples.inputs[row, examples.lengths[row] :] == 0).all()
        names = data.names
        yield [names[t] for t in source], [names[t] for t in target[:-1]]


def transliterated(word):
    out = []
    for place, letter in enumerate(word):
        before = word[place - 1] if place else ""
        after = word[place + 1 : place + 2]
        if (letter == "h" and before and before in "scz") or (letter == before and letter != "h"):
            continue
        if after == "h" and letter in "scz":
            out.append({"s": "ш", "c": "ч", "z": "ж"}[letter])
        elif not after and letter in "bdgvz":
            out.append({"b": "п", "d": "т", "g": "к", "v": "ф", "z": "с"}[letter])
        elif letter == "c":
            out.append("ц" if after and after in "eiy" else "к")
        elif letter == "e":
            out.append("э" if not before or before in "aeiouy" else "е")
        else:
            plain = dict(zip("abdfghijklmnopqrstuvwyz", "абдфгхийклмнопкрстуввыз", strict=True))
            out.extend("кс" if letter == "x" else plain[letter])
    return out


def iso(text):
    text = re.sub(r"^[A-Za-z]+day,? |^(Mon|Tue|Wed|Thu|Fri|Sat|Sun),? ", "", text)
    months = {month[:3]: number for number, month in enumerate(MONTHS, 1)}
    named = re.search("|".join(months), text)
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    if named:
        day, year = numbers
        return f"{year}-{months[named[0]]:02}-{day:02}"
    if numbers[0] > 31:
        numbers.reverse()
    day, month, year = numbers
    return f"{year}-{month:02}-{day:02}"


RULES = {
    Copy: lambda s: s,
    Reverse: lambda s: s[::-1],
    Sort: lambda s: sorted(s, key=int),
    Duplicate: lambda s: s + s,
    CopyMemory: lambda s: s[:10],
    SelectiveCopy: lambda s: [symbol for symbol in s if symbol != "_"],
    Addition: lambda s: list(str(sum(map(int, "".join(s).split("+"))))),
    Dates: lambda s: list(iso("".join(s))),
    Transliterate: lambda s: transliterated("".join(s)),
}


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("split", ["train", "test_long"])
def test_targets_follow_the_rule(kind, split):
    data = make(kind)
    seen = 0
    for source, target in rows(data, split):
        assert target == RULES[kind](source)
        seen += 1
    assert seen == (300 if split == "train" else 100)


@pytest.mark.parametrize("kind", RULES)
def test_splits_are_seeded_disjoint_and_of_their_lengths(kind):
    data = make(kind)
    splits = {name: data.split(name) for name in data.splits}
    again = make(kind).split("train")
    for field in ("inputs", "targets", "lengths", "target_lengths", "alignment"):
        assert torch.equal(getattr(again, field), getattr(splits["train"], field))
    assert not torch.equal(make(kind, seed=5).split("train").inputs, again.inputs)
    sets = [{tuple(row) for row in s.inputs.tolist()} for s in splits.values()]
    for number, one in enumerate(sets[:3]):
        for other in sets[number + 1 : 3]:
            assert not one & other
    assert splits["train"].lengths.max() <= data.max_length
    assert splits["test_long"].lengths.min() > data.max_length
    assert int(splits["test_long"].target_lengths.max()) - 1 <= data.spec.longest_target


@pytest.mark.parametrize("kind", [Copy, Reverse, Sort, Duplicate, CopyMemory, SelectiveCopy])
def test_a_target_token_is_the_source_token_that_it_comes_from(kind):
    examples = make(kind).split("train")
    places = examples.alignment[..., 0].long()
    known = places >= 0
    assert (known.sum(1) == examples.target_lengths - 1).all()
    copied = examples.inputs.gather(1, places.clamp(min=0))
    assert torch.equal(copied[known], examples.targets[known])
    for row in range(20):  # nothing is used twice but in duplicate
        used = places[row][known[row]].tolist()
        assert len(set(used)) * (2 if kind is Duplicate else 1) == len(used)


def test_digits_come_from_their_place():
    data = make(Addition)
    examples = data.split("train")
    for row, (source, target) in enumerate(rows(data, "train")):
        one, other = "".join(source).split("+")
        plus = len(one)
        for step in range(len(target)):
            place = len(target) - 1 - step  # from the right
            expected = {plus - 1 - place} if place < len(one) else set()
            expected |= {len(source) - 1 - place} if place < len(other) else set()
            if not expected:  # the carry
                expected = {0} if len(one) >= len(other) else set()
                expected |= {plus + 1} if len(other) >= len(one) else set()
            found = set(examples.alignment[row, step].tolist()) - {-1}
            assert found == expected


def test_dates_come_in_all_forms_and_their_parts_from_the_right_place():
    data = make(Dates, max_length=40, long_lengths=None, train_size=2000)
    examples = data.split("train")
    shapes = set()
    for row, (source, target) in enumerate(rows(data, "train")):
        text, goal = "".join(source), "".join(target)
        date = datetime.date.fromisoformat(goal)
        shapes.add(re.sub(r"\d+", "#", re.sub(r"[A-Z][a-z]+", "A", text)))
        weekday = re.match("|".join(DAYS), text)
        assert weekday is None or weekday[0] == DAYS[date.weekday()]
        for step, wanted in [(0, str(date.year)), (3, str(date.year)), (9, str(date.day))]:
            places = [p for p in examples.alignment[row, step].tolist() if p >= 0]
            piece = "".join(text[p] for p in places)
            assert (re.match(r"\d+", piece) or [""])[0].lstrip("0") == wanted
        month = "".join(text[p] for p in examples.alignment[row, 6].tolist() if p >= 0)
        number = int(month) if month.isdigit() else 0
        assert month
        assert number == date.month or MONTHS[date.month - 1].startswith(month)
        assert (examples.alignment[row, 4] == -1).all()
    assert len(shapes) >= len(FORMS) - 4  # some forms look alike with the words left out


def test_letters_come_from_letters():
    data = make(Transliterate)
    examples = data.split("train")
    places = examples.alignment[..., 0]
    for row, (source, target) in enumerate(rows(data, "train")):
        used = places[row, : len(target)].tolist()
        assert used == sorted(used)
        assert all(0 <= place < len(source) for place in used)
        repeated = {p for p in used if used.count(p) > 1}
        assert {source[p] for p in repeated} <= {"x"}


def test_the_trivial_score_is_that_of_the_most_frequent_target():
    data = Copy(num_symbols=2, min_length=1, max_length=5, train_size=20, val_size=9, test_size=9)
    counts = Counter(tuple(target) for _, target in rows(data, "test"))
    assert max(counts.values()) > 1
    assert data.spec.trivial == pytest.approx(max(counts.values()) / 9)
    assert make(Copy).spec.trivial == pytest.approx(1 / 100)


def test_batches_are_cut_to_their_longest_source_and_target():
    batch = make(Duplicate).split("train").batch(torch.arange(7))
    assert batch.inputs.shape[1] == batch.lengths.max()
    assert batch.targets.shape[1] == batch.target_lengths.max()
    assert batch.alignment.shape == (*batch.targets.shape, 1)
    assert batch.targets.dtype == torch.long


@pytest.mark.parametrize(
    ("make_it", "named"),
    [
        (lambda: CopyMemory(min_length=10), "min_length=10"),
        (lambda: SelectiveCopy(min_length=3), "min_length=3"),
        (lambda: Addition(min_length=2), "at least 3"),
        (lambda: Copy(num_symbols=1), "num_symbols"),
        (lambda: Dates(first_year=2000, last_year=1999), "first_year"),
        (lambda: Reverse(min_length=0), "min_length"),
    ],
)
def test_what_cannot_work_is_told(make_it, named):
    with pytest.raises(InputError, match=named):
        make_it()
