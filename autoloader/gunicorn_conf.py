"""The web server: threads, no preload (each process makes its own Spark sessions after the fork), JSON logs."""

import os
from typing import Any

from autoloader import settings

_logging: dict[str, Any] = settings.LOGGING

bind = f"{os.environ.get('AUTOLOADER_BIND') or '127.0.0.1'}:{os.environ.get('PORT') or '8000'}"
worker_class = "gthread"
workers = int(os.environ.get("AUTOLOADER_WEB_WORKERS") or 2)
threads = int(os.environ.get("AUTOLOADER_WEB_THREADS") or 8)
preload_app = False
timeout = 60
graceful_timeout = 10
keepalive = 5
control_socket_disable = True
accesslog = None  # Django's own loggers say what went wrong
logconfig_dict: dict[str, Any] = {
    **_logging,
    "loggers": {**_logging["loggers"], "gunicorn.error": {"level": "INFO", "propagate": True}},
}
