import pytest
import torch

from seqlab.data.series_file import SeriesFile
from seqlab.data.spec import Observation
from seqlab.errors import InputError

HEADER = "shop,day,sales,price,holiday,area\n"
SMALL = {"window": 4, "horizon": 2, "val_steps": 2, "test_steps": 2}
COLUMNS = {
    "targets": ["sales"],
    "series_column": "shop",
    "time_column": "day",
    "past": ["price"],
    "known": ["holiday"],
    "static": ["area"],
}


def lines(shop, count, area, future=0):
    return "".join(
        f"{shop},2024-02-{day:02},{day * 10 if day <= count else ''},"
        f"{day / 2 if day <= count else ''},{day % 7 == 0:d},{area}\n"
        for day in range(1, count + future + 1)
    )


@pytest.fixture
def write(tmp_path):
    def make(text, **settings):
        path = tmp_path / "sales.csv"
        path.write_text(text)
        return SeriesFile(path=str(path), **{**SMALL, **COLUMNS, **settings})

    return make


def test_every_column_reaches_its_place(write):
    data = write(HEADER + lines("north", 12, 5.0, future=2) + lines("south", 10, 7.0, future=2))
    store = data.store
    assert store.names == ("north", "south")
    assert store.lengths.tolist() == [12, 10]
    assert store.time(1, 9) == "2024-02-10"
    assert store.static.flatten().tolist() == [5, 7]
    batch = data.future().batch(torch.arange(2))
    assert batch.inputs[0, :, 0].tolist() == [90, 100, 110, 120]
    assert batch.inputs[0, :, 1].tolist() == [4.5, 5, 5.5, 6]
    assert batch.context.future[0, :, 0].tolist() == [0, 1]
    assert (data.spec.input_size, data.spec.output_size) == (3, 1)
    assert data.spec.series.names == ("north", "south")


def test_one_series_without_times(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("x\n" + "".join(f"{n}\n" for n in range(12)))
    store = SeriesFile(path=str(path), targets=["x"], **SMALL).store
    assert store.names == ("counts",)
    assert store.values.flatten().tolist() == list(range(12))
    assert store.time(0, 11) == "11"


def test_missing_values(write):
    text = HEADER + lines("north", 12, 5.0).replace(",50,", ",,")
    with pytest.raises(InputError, match="'north' has no finite value at 2024-02-05"):
        _ = write(text).store
    assert write(text, missing="mask").store.values.isnan().sum() == 1


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (",50,", ",much,", r"line 6 \(.*\), column 'sales': 'much' is no number"),
        (",2.5,", ",,", r"line 6 \(\w+, 2024.*\), column 'price'.*needs a value at every time"),
        ("2024-02-05", "2024-02-04", "2024-02-04 occurs twice"),
        ("2024-02-05", "Monday", "ISO dates"),
        ("2024-02-12", "2024-02-14", "irregular: 2024-02-11 is followed by 2024-02-14"),
        ("0,5.0\nnorth,2024-02-06", "0,6.0\nnorth,2024-02-06", "static.*'north'.*changes"),
        ("price", "cost", "no column 'price'; it has shop, day, sales, cost"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(write, old, new, match):
    text = HEADER + lines("north", 12, 5.0)
    assert old in text
    with pytest.raises(InputError, match=match):
        _ = write(text.replace(old, new, 1)).store


def test_covariates_that_end_too_early(write):
    data = write(HEADER + lines("north", 12, 5.0, future=1))
    with pytest.raises(InputError, match=r"'north'.*up to 2024-02-13 only.*up to 2024-02-14"):
        data.future()


def test_a_file_that_is_not_there_or_empty(write):
    with pytest.raises(InputError, match="no such file"):
        _ = SeriesFile(path="nowhere.csv", targets=["x"], **SMALL).store
    with pytest.raises(InputError, match="no line below"):
        _ = write(HEADER).store


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "picture.csv"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="no text in UTF-8"):
        _ = SeriesFile(path=str(path), targets=["x"], **SMALL).store


@pytest.mark.parametrize("value", ["-2", "2.5"])
def test_the_first_value_that_is_no_count_is_named(write, value):
    text = HEADER + lines("north", 12, 5.0) + lines("south", 12, 5.0)
    assert write(text).spec.series.not_a_count is None
    row = text.splitlines()[17].split(",")
    place = Observation("south", row[1], float(value))
    row[2] = value
    changed = text.replace(text.splitlines()[17], ",".join(row))
    assert write(changed).spec.series.not_a_count == place


def test_settings(write):
    with pytest.raises(InputError, match=r"data\.targets=sales must be a list; use .*\[sales\]"):
        write(HEADER, targets="sales")
    with pytest.raises(InputError, match=r"data\.targets is empty"):
        write(HEADER, targets=[])
    with pytest.raises(InputError, match=r"data\.headline"):
        write(HEADER, headline="rmse")
    with pytest.raises(InputError, match=r"data\.period"):
        write(HEADER, period=0)
