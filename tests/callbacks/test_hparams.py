"""TensorBoard's HPARAMS tab has the configuration's columns and a session's end."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from tests.conftest import SHORT, SMALL


def sessions(folder):
    found = EventAccumulator(str(folder)).Reload()
    return {
        tag: found.SummaryMetadata(tag).plugin_data.content
        for tag in found.PluginTagToContent("hparams")
    }


def test_session_holds_the_flat_configuration_and_its_end(train, tmp_path):
    train("model=gru", "optimizer.lr=0.02", *SMALL, *SHORT)
    found = sessions(tmp_path / "run")
    # With an experiment summary the tab would show the first run's columns only.
    assert set(found) == {metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG}
    start = metadata.parse_session_start_info_plugin_data(found[metadata.SESSION_START_INFO_TAG])
    columns = start.hparams
    assert columns["model"].string_value == "gru"
    assert columns["data"].string_value == "magic_token"
    assert columns["optimizer.lr"].number_value == pytest.approx(0.02)
    assert columns["model.encoder.bidirectional"].string_value == "false"
    assert columns["data.train_size"].number_value == 256
    noise = ("callbacks.", "logger.", "task.network.", "task.module.", "trainer.enable_")
    assert not [key for key in columns if key.startswith(noise) or key.endswith("_partial_")]
    end = metadata.parse_session_end_info_plugin_data(found[metadata.SESSION_END_INFO_TAG])
    assert end.status == api_pb2.STATUS_SUCCESS
