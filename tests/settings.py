"""The product's settings over a temporary data folder; nothing of a developer's own installation is read or changed.

``AUTOLOADER_TEST_DATABASE=postgres`` runs the whole suite on a PostgreSQL server that is started for it.
"""

# ruff: noqa: E402, F403, F405  # the environment has to be there before the settings read it
import atexit
import os
import shutil
import tempfile
from pathlib import Path

_folder = Path(tempfile.mkdtemp(prefix="autoloader-tests-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
for _name in [name for name in os.environ if name in ("SECRET_KEY", "PORT", "DEBUG", "ALLOWED_HOSTS")]:
    del os.environ[_name]
os.environ["AUTOLOADER_DATA_DIR"] = str(_folder)
os.environ["AUTOLOADER_HTTPS"] = "false"
os.environ["AUTOLOADER_ALLOWED_NETWORKS"] = "127.0.0.0/8,::1/128"

if os.environ.get("AUTOLOADER_TEST_DATABASE") == "postgres":
    from tests.support.postgres import shared_server

    os.environ["DATABASE_URL"] = shared_server().create_database()
else:
    os.environ["DATABASE_URL"] = f"sqlite:///{_folder / 'autoloader.sqlite3'}"

from autoloader.settings import *

# Children that tests start choose their own database, and are real installations with the product's settings.
del os.environ["DATABASE_URL"]
os.environ["DJANGO_SETTINGS_MODULE"] = "autoloader.settings"

for _path in (STATIC_ROOT, Path(LOCAL_ROOTS[0])):
    _path.mkdir(parents=True, exist_ok=True)
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # A file, so that threads have connections of their own and wait for each other as in real life; not synced to disk.
    DATABASES["default"]["TEST"] = {"NAME": str(_folder / "test.sqlite3")}
    _options = DATABASES["default"]["OPTIONS"]
    _options["init_command"] = _options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
LOGGING = {**LOGGING, "root": {"handlers": [], "level": LOG_LEVEL}}
