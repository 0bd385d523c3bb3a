"""What gunicorn loads: `dispatcher.api.wsgi:app`. The settings come from the environment."""

import gc

from dispatcher import log
from dispatcher.api.app import create_app
from dispatcher.services import services

log.set_up(services().settings.log_level, services().settings.log_format)
app = create_app(services())
gc.freeze()  # what is loaded by now stays: the collector need not walk it again and again
gc.set_threshold(50_000, 20, 20)  # a request's JSON is thousands of objects and no cycle; it walked them six times
