"""What TensorBoard reads of a run's settings."""

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata

from dlexp.records.tensorboard import RunTensorBoard


def settings_read(folder):
    (path,) = folder.glob("events.out.tfevents.*")
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if value.tag == metadata.SESSION_START_INFO_TAG:
                return metadata.parse_session_start_info_plugin_data(
                    value.metadata.plugin_data.content
                ).hparams
    raise AssertionError("no session")


@pytest.mark.parametrize(
    ("key", "values"), [("data.batch_size", ["full", 10]), ("trainer.precision", [32, "64-true"])]
)
def test_a_setting_that_may_be_a_number_or_a_word_has_one_type(tmp_path, key, values):
    section, _, name = key.partition(".")
    kinds = set()
    for value in values:
        folder = tmp_path / str(value)
        logger = RunTensorBoard(folder)
        logger.log_hyperparams({section: {name: value}, "seed": 3})
        logger.end(well=True)
        read = settings_read(folder)
        kinds.add(read[key].WhichOneof("kind"))
        assert read["seed"].number_value == 3
    assert kinds == {"string_value"}
