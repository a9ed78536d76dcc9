"""TensorBoard for a run's own folder."""

from pathlib import Path

from pytorch_lightning.loggers import TensorBoardLogger


class RunTensorBoard(TensorBoardLogger):
    """Lightning's TensorBoard logger, writing its events straight into the run's folder.

    Without Lightning's ``hparams.yaml``: result.json holds the configuration, and writing it a second time
    took a tenth of a small job.
    """

    def __init__(self, save_dir: str | Path) -> None:
        super().__init__(save_dir, name="", version="", default_hp_metric=False)

    def save(self) -> None:
        """Flush the events to disk."""
        self.experiment.flush()
