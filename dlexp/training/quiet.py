"""Keeping libraries' remarks out of the terminal: they go to the job's train.log or nowhere."""

import logging
import warnings


class _Unwanted(logging.Filter):
    """Drops Lightning's advertisements and the remarks that repeat what the configuration says."""

    phrases = (
        "Tip:",
        "GPU available",
        "TPU available",
        "HPU available",
        "`Trainer.fit` stopped",
        "litlogger",
    )

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(phrase in message for phrase in self.phrases)


_UNWANTED = _Unwanted()


def quiet_libraries() -> None:
    """Send what Lightning says, and all Python warnings, to the handlers of the root logger.

    Lightning gives its loggers a handler for the terminal if it is imported before logging is set up.
    """
    logging.captureWarnings(True)
    # Ours is not a DataLoader: nothing to be gained from workers, and the loops are short on purpose.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # torch's own use of its pytree, in Lightning's data transfer
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric"):
        logger = logging.getLogger(name)
        logger.propagate = True
        logger.handlers.clear()
        for child in [n for n in logging.root.manager.loggerDict if n == name or n.startswith(f"{name}.")]:
            if _UNWANTED not in logging.getLogger(child).filters:
                logging.getLogger(child).addFilter(_UNWANTED)
