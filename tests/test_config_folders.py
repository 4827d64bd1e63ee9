"""Configuration files of a user's own, beside SeqLab's."""

import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from seqlab.config_folders import CONF, check_user_folders, groups, options_of, user_folders
from seqlab.errors import InputError
from tests.conftest import ROOT

MINE = "defaults: [lstm, _self_]\nencoder: {hidden_size: 7}\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """`write(folder, name, text)` in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    GlobalHydra.instance().clear()

    def run(folder, name, text=MINE):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return run


def composed(*overrides, conf=CONF):
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose("train", list(overrides))


def test_the_repository_and_the_package_read_the_same_folder():
    assert CONF.samefile(ROOT / "conf")


def test_a_working_folder_adds_its_options(write):
    write("conf", "model/mine.yaml")
    check_user_folders()
    assert "mine" in options_of("model")
    assert composed("model=mine").model.encoder.hidden_size == 7
    assert composed("model=gru").model.encoder.hidden_size == 64


@pytest.mark.parametrize("flag", [["--config-dir", "own"], ["--config-dir=own"], ["-cd", "own"]])
def test_config_dir_adds_its_options(write, monkeypatch, flag):
    write("conf", "model/mine.yaml")
    write("own", "model/other.yaml")
    write("own", "mood/good.yaml")
    monkeypatch.setattr(sys, "argv", ["train.py", *flag])
    check_user_folders()
    assert {"mine", "other"} <= set(options_of("model"))
    assert "mood" in groups()
    assert composed("model=other").model.encoder.hidden_size == 7


def test_other_programs_of_hydras_are_left_alone(write, tmp_path):
    write("theirs", "train.yaml", "defaults: [model: {}]\n".replace("{}", "mine"))
    write("conf", "model/mine.yaml", "size: 7\n")
    with pytest.raises(Exception, match="Could not find 'model/mine'"):
        composed(conf=tmp_path / "theirs")


def test_a_file_that_would_never_be_read_is_refused(write):
    write("conf", "model/lstm.yaml")
    with pytest.raises(InputError, match=r"conf/model/lstm.yaml: SeqLab has a file of this name"):
        check_user_folders()


def test_a_copy_of_our_folder_is_no_error(write, tmp_path):
    write("conf", "model/lstm.yaml", (CONF / "model" / "lstm.yaml").read_text())
    check_user_folders()
    assert user_folders() == [tmp_path / "conf"]


def test_a_missing_config_dir_is_refused(write, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "--config-dir", "nowhere"])
    with pytest.raises(InputError, match="--config-dir nowhere: there is no such folder"):
        check_user_folders()
