import numpy as np
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
    with pytest.raises(InputError, match=r"there is no file nowhere\.csv"):
        _ = SeriesFile(path="nowhere.csv", targets=["x"], **SMALL).store
    with pytest.raises(InputError, match="no line below"):
        _ = write(HEADER).store


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "picture.csv"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="no text in UTF-8"):
        _ = SeriesFile(path=str(path), targets=["x"], **SMALL).store


def test_the_likely_encoding_is_named(tmp_path):
    with pytest.raises(InputError, match=r"such as data\.encoding=utf-16"):
        store_of(tmp_path, "t,y\n0,1\n".encode("utf-16"))


def test_a_training_part_without_values_is_not_called_constant(tmp_path):
    with pytest.raises(InputError, match="'series' has no value from 0 to 7, all that there is"):
        store_of(tmp_path, series(range(12), [""] * 8 + [1, 2, 3, 4]), missing="mask")


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


def store_of(tmp_path, text, **settings):
    path = tmp_path / "series.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    settings = {"targets": ["y"], "time_column": "t", **SMALL, **settings}
    return SeriesFile(path=str(path), **settings).store


def series(times, values=None):
    rows = zip(times, values or range(len(times)), strict=True)
    return "t,y\n" + "".join(f"{time},{value}\n" for time, value in rows)


@pytest.mark.parametrize(
    ("text", "settings", "match"),
    [
        # A comma as the decimal sign, without quotation marks
        (
            "t,y\n0,10,25\n1,11,75\n",
            {},
            r"line 2, has 3 fields, but the header names 2 columns; .*data\.decimal=','",
        ),
        ("t,y\n0,1\n1\n", {}, "line 3, has 1 fields, but the header names 2"),
        ("y\n1\n2,3\n", {"time_column": None}, "line 3, has 2 fields"),
        ("t,y,y\n0,1,2\n", {}, "names the column 'y' twice"),
        ("t;y\n0;1\n", {}, r"no column 'y'; it has t;y; set data\.delimiter=';'"),
        ("t\ty\n0\t1\n", {}, r"set data\.delimiter=tab"),
        ("t,y\n0,1\n,2\n", {}, "line 3, series 'series', column 't': '' is no time stamp"),
        ("t,y\n2024-01-01,1\nNaT,2\n", {}, "line 3, .*'NaT' is no time stamp"),
        ("t,y\n2024-01-31,1\n2024-02-30,2\n", {}, "line 3, .*'2024-02-30' is no time stamp"),
        ("t,y\n0,1\ntoday,2\n", {}, "line 3, .*'today' is no time stamp"),
        ("t,y\n2024-01-01T00:00+01:00,1\n", {}, "line 2, .*without a time zone"),
        ("t,y\n0,1_5\n", {}, "line 2 .*'1_5' is no number"),
        ('t,y\n0,"1,5"\n', {}, r"'1,5' is no number; set data\.decimal=','"),
        ("t;y\n0;1.5\n", {"delimiter": ";", "decimal": ","}, "'1.5' is no number"),
        ('t,y\n0,1\n1,"2\n', {}, "line 3: .*correct its quotation marks"),
        ("t,y\n0,1\n", {"delimiter": ";;"}, r"data\.delimiter=';;' must be one character"),
        ("t,y\n0,1\n", {"decimal": ";"}, r"data\.decimal=';' must be"),
        ("", {}, "no column 'y'"),
        ("\n\n", {}, "is empty and has no column 'y'; give it a header"),
        ("t,y\n0,NA\n", {}, "'NA' is no number; leave the field of a missing value empty"),
        ("t,y\n0,1\n", {"targets": ["y", "y"]}, r"data\.targets names 'y' twice"),
        ("t,y\n0,1e300\n1,2\n", {}, "too large or too narrow"),
        ("t,y\n0,1e-310\n1,2e-310\n", {}, "too large or too narrow"),
        ("t,y,z\n0,1,1e300\n1,2,1\n", {"past": ["z"]}, "past covariates .* too large"),
    ],
)
def test_a_table_that_is_refused(tmp_path, text, settings, match):
    with pytest.raises(InputError, match=match):
        store_of(tmp_path, text, **settings)


def test_other_separators_and_encodings(tmp_path):
    text = "t;größe\n" + "".join(f"{n};{n},5\n" for n in range(12))
    settings = {"targets": ["größe"], "delimiter": ";", "decimal": ","}
    for content, encoding in (
        (text.encode("utf-8-sig"), "utf-8"),
        (text.encode("latin-1"), "latin-1"),
        (text.encode("utf-16"), "utf-16"),
    ):
        store = store_of(tmp_path, content, encoding=encoding, **settings)
        assert store.values.flatten().tolist() == [n + 0.5 for n in range(12)]
    tabs = series(range(12)).replace(",", "\t").replace("\n", "\r\n")
    assert store_of(tmp_path, tabs, delimiter="tab").lengths.tolist() == [12]
    with pytest.raises(InputError, match=r"series.csv, line 1, is no text in UTF-8; .*encoding"):
        store_of(tmp_path, text.encode("latin-1"), **settings)


def test_month_ends_of_a_file(tmp_path):
    ends = np.arange("2010-02", "2012-02", dtype="datetime64[M]").astype("datetime64[D]") - 1
    store = store_of(tmp_path, series(ends.tolist()))
    assert [store.time(0, place) for place in range(24)] == ends.astype(str).tolist()
    # What comes after the end of the series
    assert store.time(0, 25) == "2012-02-29"


@pytest.mark.parametrize(
    ("times", "frequency", "filled"),
    [
        ([0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11], 1, [2]),
        ([0, 5, 10, 20, 25, 30, 35, 40, 45, 50], 5, [3]),
        # A holiday, and a weekend that is none
        (
            [f"2024-01-{day:02}" for day in (1, 2, 3, 5, 8, 9, 10, 11, 12, 15)],
            "business_day",
            [3],
        ),
        ([f"2024-01-{day:02}" for day in (1, 2, 3, 5, 6, 7, 8, 9, 10)], "day", [3]),
        (
            [f"2024-01-01T{hour // 4:02}:{hour % 4 * 15:02}" for hour in (0, 1, 2, 5, 6, 7, 8, 9)],
            "15 minute",
            [3, 4],
        ),
        (
            [
                *("2023-12-31", "2024-03-31", "2024-09-30", "2024-12-31", "2025-03-31"),
                *("2025-06-30", "2025-09-30", "2025-12-31", "2026-03-31"),
            ],
            "3 month_end",
            [2],
        ),
    ],
)
def test_times_left_out_are_filled_on_request(tmp_path, times, frequency, filled):
    text = series(times)
    with pytest.raises(InputError, match=r"irregular.*data\.frequency"):
        store_of(tmp_path, text, missing="mask")
    store = store_of(tmp_path, text, missing="mask", frequency=frequency)
    values = store.values.flatten()
    assert values.isnan().nonzero().flatten().tolist() == filled
    assert values[~values.isnan()].tolist() == list(range(len(times)))
    given = [place for place in range(len(values)) if place not in filled]
    assert [store.time(0, place) for place in given] == list(map(str, times))
    with pytest.raises(InputError, match=r"no finite value at .*data\.missing=mask"):
        store_of(tmp_path, text, frequency=frequency)


@pytest.mark.parametrize(
    ("frequency", "match"),
    [
        ("fortnight", r"data\.frequency=fortnight must be a whole number, or one of second, min"),
        ("0 day", r"data\.frequency=0 day must be"),
        (1, r"data\.frequency=1 needs whole numbers as time stamps, not 2024-01-01"),
        ("month_end", "series 'series': the time stamp 2024-01-01 is not on the frequency"),
        ("2 day", "the time stamp 2024-01-02 is not on the frequency .* counted from 2024-01-01"),
    ],
)
def test_a_frequency_that_does_not_fit(tmp_path, frequency, match):
    days = [f"2024-01-{day:02}" for day in range(1, 13)]
    with pytest.raises(InputError, match=match):
        store_of(tmp_path, series(days), frequency=frequency)


def test_covariates_are_not_filled(tmp_path):
    days = [f"2024-01-{day:02}" for day in (1, 2, 4, *range(5, 13))]
    text = "t,y,x\n" + "".join(f"{day},{n},{n}\n" for n, day in enumerate(days))
    with pytest.raises(InputError, match=r"no line for 2024-01-03, where data\.known needs"):
        store_of(tmp_path, text, known=["x"], frequency="day", missing="mask")
    # Values of the future belong to covariates alone.
    future = text + "2024-01-13,,13\n2024-01-14,,14\n"
    future = future.replace("2024-01-04", "2024-01-03,9,9\n2024-01-04")
    store = store_of(tmp_path, future, known=["x"], frequency="day", missing="mask")
    assert store.lengths.tolist() == [12]
    assert len(store.known) == 14
