"""gunicorn's own lines as JSON, where that is set: what it says is about its processes, and what it cannot read."""

from typing import Any

from gunicorn.glogging import Logger

from dispatcher.log import JsonFormatter


class JsonLogger(Logger):
    """For `--logger-class`."""

    def setup(self, cfg: Any) -> None:
        """As gunicorn has it, with our format."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            for handler in logger.handlers:
                handler.setFormatter(JsonFormatter())
