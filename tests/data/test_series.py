import numpy as np
import pytest
import torch

from seqlab.data.series import Series, SeriesStore
from seqlab.errors import InputError


def days(count, start="2024-02-26"):
    return np.datetime64(start) + np.arange(count)


def test_series_of_unequal_length_stand_end_to_end():
    store = SeriesStore.from_series(
        [
            Series(values=np.arange(3.0), name="a", times=days(3), static=np.array([1.0])),
            Series(values=np.arange(10.0, 15), name="b", static=np.array([2.0])),
        ]
    )
    assert store.values[:, 0].tolist() == [0, 1, 2, 10, 11, 12, 13, 14]
    assert store.lengths.tolist() == [3, 5]
    assert store.time(0, 3) == "2024-02-29"
    assert store.time(1, 3) == "3"
    assert store.static is not None
    assert store.static.tolist() == [[1.0], [2.0]]


def test_the_first_of_each_month_is_a_regular_step():
    months = np.arange("2023-01", "2024-01", dtype="datetime64[M]")
    firsts = months.astype("datetime64[D]")
    store = SeriesStore.from_series([Series(values=np.zeros(12), times=firsts)])
    assert store.time(0, 13) == "2024-02"


def test_generated_series_are_not_copied():
    values = np.zeros((2, 5, 1), np.float32)
    store = SeriesStore.from_array(values)
    values[1, 0, 0] = 7
    assert store.values[5, 0] == 7


def test_head_forgets_what_has_not_happened_yet():
    store = SeriesStore.from_series(
        [Series(values=np.arange(4.0), name="a"), Series(values=np.arange(9.0, 15), name="b")]
    )
    head = store.head(torch.tensor([2, 3]))
    assert head.values[:, 0].tolist() == [0, 1, 9, 10, 11]
    assert head.starts.tolist() == [0, 2, 5]


def refuse(match, *series, missing="error"):
    with pytest.raises(InputError, match=match):
        SeriesStore.from_series(series, missing=missing)


def test_a_missing_value_is_named_with_its_series_and_time():
    values = np.array([1.0, 2.0, np.nan, 4.0])
    refuse("'sales'.*2024-02-28.*missing=mask", Series(values=values, name="sales", times=days(4)))


def test_missing_values_stay_missing_where_they_are_masked():
    store = SeriesStore.from_series([Series(values=np.array([1.0, np.nan]))], missing="mask")
    assert store.values.isnan().flatten().tolist() == [False, True]


def test_infinite_values_are_refused_even_where_missing_ones_are_masked():
    refuse("'x'", Series(values=np.array([1.0, np.inf]), name="x"), missing="mask")


def test_a_series_without_any_value_is_refused():
    refuse("'x'.*no value", Series(values=np.full(3, np.nan), name="x"), missing="mask")


def test_a_duplicate_time_stamp_is_named():
    times = days(4)
    times[2] = times[1]
    refuse("'x'.*2024-02-27.*twice", Series(values=np.zeros(4), name="x", times=times))


def test_unsorted_time_stamps_are_named():
    times = days(4)[::-1]
    refuse("2024-02-29 stands before 2024-02-28", Series(values=np.zeros(4), times=times))


def test_an_irregular_step_is_named():
    times = days(6)[[0, 1, 2, 4, 5]]
    refuse(
        "'x' is irregular: 2024-02-28 is followed by 2024-03-01",
        Series(values=np.zeros(5), name="x", times=times),
    )


def test_covariates_must_be_there_and_fit():
    values = np.zeros(4)
    refuse("'x'.*4 values but 3 rows", Series(values=values, name="x", past=np.zeros((3, 1))))
    refuse("covariates.*'x'.*position 1", Series(values=values, name="x", known=with_nan(4, 1)))
    refuse(
        "past.*'a' and 'b'.*1 and no columns",
        Series(values=values, name="a", past=np.zeros((4, 1))),
        Series(values=values, name="b"),
    )


def with_nan(length, place):
    array = np.zeros((length, 1))
    array[place] = np.nan
    return array


def test_text_is_no_value():
    refuse("'x'.*shape", Series(values=np.array(["1", "2"]), name="x"))


def test_no_series_at_all():
    refuse("no series")
