"""The Celery app of Flower: `celery -A dispatcher.tasks.flower flower`. It knows neither database nor keys."""

import logging
import sys
import time

from celery import Celery

from dispatcher import log
from dispatcher.broker.config import configure
from dispatcher.errors import InvalidSetting
from dispatcher.settings import read_broker_settings

STARTING_S = 30.0

try:
    _settings = read_broker_settings()
except InvalidSetting as error:
    sys.exit(f"error: {error}")  # one line instead of a traceback through Celery

app = Celery("flower")
configure(app, _settings.broker_url)
log.set_up(_settings.log_level, _settings.log_format)  # Flower sets up no logging where there is one
_began_s = time.monotonic()


def is_news(record: logging.LogRecord) -> bool:
    """At its start Flower asks all workers what they are, and warns where none answers: they start at that moment.

    It asks each once more when that one is heard of.
    """
    is_silence = record.msg == "Inspect method %s failed"  # with a reason it would be another text
    return not is_silence or time.monotonic() - _began_s > STARTING_S


logging.getLogger("flower.inspector").addFilter(is_news)
