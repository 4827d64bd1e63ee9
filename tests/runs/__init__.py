"""Tests of runs."""

import pytest

pytest.register_assert_rewrite("tests.runs.interrupting")
