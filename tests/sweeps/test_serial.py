"""A job that ends the whole process takes the sweep along; the same command again gets over it."""

from __future__ import annotations

from tests.sweeps.commands import SCRIPT, begun, finish, rows, spoil


def test_a_job_that_ends_the_process_is_alone_the_second_time(tmp_path, script_conf):
    command = (SCRIPT, "seed=1,2,3")
    spoil(tmp_path, {"2": "exit"})
    finish(tmp_path, *command, status=3)  # nobody is left to tell
    assert len(begun(tmp_path)) == 2
    screen = finish(tmp_path, *command, status=1)
    assert "1 of 3 jobs failed" in screen
    assert [row["status"] for row in rows(tmp_path)] == ["finished", "failed", "finished"]
    assert "ended its process with status 3" in rows(tmp_path)[1]["reason"]
    # It went on from the number where it broke, in a process of its own.
    assert [entry["from"] for entry in begun(tmp_path)] == [0, 0, 5, 0]
    assert len({entry["pid"] for entry in begun(tmp_path)}) == 3
    spoil(tmp_path)
    finish(tmp_path, *command)
    assert {row["status"] for row in rows(tmp_path)} == {"finished"}
