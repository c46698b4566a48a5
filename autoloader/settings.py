"""All settings, from the environment (and ``.env``) only. Each variable is explained in ``.env.example``."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import environ
from cryptography.fernet import Fernet

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")

DATA_DIR = Path(env.str("AUTOLOADER_DATA_DIR", default=str(BASE_DIR / "data"))).expanduser().resolve()
TOOLS_DIR = Path(env.str("AUTOLOADER_TOOLS_DIR", default=str(BASE_DIR / ".tools"))).expanduser().resolve()


def _kept(name: str, make: str) -> str:
    """A secret of this installation, made once and kept in the data folder, readable by its owner only."""
    path = DATA_DIR / name
    if not path.exists():
        DATA_DIR.mkdir(parents=True, exist_ok=True)
        candidate = path.with_name(f".{name}.{os.getpid()}")
        descriptor = os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make)
        try:
            os.link(candidate, path)  # the first of several processes wins, and none reads half a file
        except FileExistsError:
            pass
        finally:
            candidate.unlink()
    return path.read_text().strip()


SECRET_KEY = env.str("SECRET_KEY", default="") or _kept("secret_key", secrets.token_urlsafe(50))
ENCRYPTION_KEYS: list[str] = env.list("AUTOLOADER_ENCRYPTION_KEYS", default=[]) or [
    _kept("encryption_key", Fernet.generate_key().decode())
]

DEBUG = env.bool("DEBUG", default=False)
PORT = env.int("PORT", default=8000)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
#: the site is served over TLS (by a proxy in front): secure cookies, HSTS, redirect.
HTTPS = env.bool("AUTOLOADER_HTTPS", default=False)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_htmx",
    "django_q",
    "ninja",
    "template_partials",
    "accounts",
    "clusters",
    "ingestions",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "autoloader.urls"
WSGI_APPLICATION = "autoloader.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

#: a worker that has not renewed its hold on a run for this long is taken to be dead, and another one goes on.
LEASE_SECONDS = env.int("AUTOLOADER_LEASE_SECONDS", default=15)
#: writers wait for each other no longer than this: less than half a lease.
LOCK_SECONDS = LEASE_SECONDS * 0.4
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'autoloader.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Writers take the lock when they begin.
    # synchronous stays FULL: the ledger may not forget a commit.
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        timeout=LOCK_SECONDS,
        transaction_mode="IMMEDIATE",
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    )
else:
    DATABASES["default"].update(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
    # No wait without an end: for a server that is gone, for a lock, for a process of ours that was stopped in the
    # middle of a transaction. What the URL says goes before.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": f"-c lock_timeout={LOCK_SECONDS * 1000:.0f}ms -c idle_in_transaction_session_timeout=30s",
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_LOCKOUT_TEMPLATE = "accounts/locked.html"
AXES_VERBOSE = False  # no line at each start of a command
LOGIN_URL = "/signin/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/signin/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Security. Cookies of two instances on one host differ by port only, which browsers ignore: so their names differ.
SESSION_COOKIE_NAME = f"autoloader_session_{PORT}"
CSRF_COOKIE_NAME = f"autoloader_csrf_{PORT}"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# The queue. Its own timeout kills a slice that hangs; the sweeper enqueues again, so redelivery never has to.
WORKERS = env.int("AUTOLOADER_WORKERS", default=2)
SLICE_TIMEOUT_SECONDS = env.int("AUTOLOADER_SLICE_TIMEOUT_SECONDS", default=3600)
Q_CLUSTER = {
    "name": "autoloader",
    "orm": "default",
    "workers": WORKERS,
    "timeout": SLICE_TIMEOUT_SECONDS,
    "retry": SLICE_TIMEOUT_SECONDS + 60,
    "max_attempts": 1,
    "ack_failures": True,
    "queue_limit": 1,
    "bulk": 1,
    "poll": 0.05,
    "catch_up": False,
    "save_limit": 250,
    "scheduler": False,
    "broker_class": "ingestions.queue.PatientBroker",
    "label": "Queue",
}

# Runs.
#: a worker goes on with the same run for this long before others get their turn.
SLICE_SECONDS = env.int("AUTOLOADER_SLICE_SECONDS", default=60)
#: a worker that is asked to stop has this long for the batch in hand; then the batch is interrupted and handed over.
STOP_SECONDS = env.float("AUTOLOADER_STOP_SECONDS", default=30)

# Schedules.
#: a fire that is later than this was missed: no scheduler ran. What becomes of it is the schedule's misfire rule.
MISFIRE_SECONDS = env.float("AUTOLOADER_MISFIRE_SECONDS", default=60)
#: a run that nobody watches and that failed by what may pass is tried again after so many minutes, once for each.
RETRY_MINUTES: list[float] = env.list("AUTOLOADER_RETRY_MINUTES", cast=float, default=[1, 5, 15])
#: sources of continuous ingestions that a scheduler looks at at the same time.
POLL_THREADS = env.int("AUTOLOADER_POLL_THREADS", default=8)
#: a continuous run that has loaded everything ends after a quiet time of so many seconds, and after so many in all.
QUIET_SECONDS = env.float("AUTOLOADER_QUIET_SECONDS", default=60)
CONTINUOUS_RUN_SECONDS = env.float("AUTOLOADER_CONTINUOUS_RUN_SECONDS", default=3600)
#: runs that are worked on at the same time at most, in all and of one owner; 0: no bound.
RUNS_AT_ONCE = env.int("AUTOLOADER_RUNS_AT_ONCE", default=0)
RUNS_AT_ONCE_PER_OWNER = env.int("AUTOLOADER_RUNS_AT_ONCE_PER_OWNER", default=0)

# Clusters.
SPARK_CONNECT_DEFAULT_PORT = env.int("SPARK_CONNECT_DEFAULT_PORT", default=15002)
SPARK_SESSION_POOL_SIZE = env.int("SPARK_SESSION_POOL_SIZE", default=10)
SPARK_SESSION_IDLE_SECONDS = env.int("SPARK_SESSION_IDLE_SECONDS", default=600)
SPARK_SESSION_MAX_AGE_SECONDS = env.int("SPARK_SESSION_MAX_AGE_SECONDS", default=3600)
SPARK_SESSION_WAIT_SECONDS = env.int("SPARK_SESSION_WAIT_SECONDS", default=30)
#: after so many failures in a row, of whichever run, runs wait for a cluster, and one of them tries now and then.
BREAKER_FAILURES = env.int("AUTOLOADER_BREAKER_FAILURES", default=3)
BREAKER_WAIT_SECONDS = env.float("AUTOLOADER_BREAKER_WAIT_SECONDS", default=10)
BREAKER_LONGEST_WAIT_SECONDS = env.float("AUTOLOADER_BREAKER_LONGEST_WAIT_SECONDS", default=300)
#: a run that has waited longer than this fails.
BREAKER_PATIENCE_SECONDS = env.float("AUTOLOADER_BREAKER_PATIENCE_SECONDS", default=3600)
#: all of a source whose names grow is listed so often.
AUDIT_HOURS = env.float("AUTOLOADER_AUDIT_HOURS", default=24)
CHECKPOINT_BASE_PATH = env.str("CHECKPOINT_BASE_PATH", default=str(DATA_DIR / "checkpoints"))
COST_PER_DBU_HOUR = env.float("COST_PER_DBU_HOUR", default=0.40)
STORAGE_COST_PER_GB = env.float("STORAGE_COST_PER_GB", default=0.023)

# Sources.
#: folders that the source type ``local`` may read; nothing else on this machine.
LOCAL_ROOTS: list[str] = env.list("AUTOLOADER_LOCAL_ROOTS", default=[str(DATA_DIR / "files")])
#: private networks that endpoints may point to (CIDR); metadata addresses stay closed whatever is listed.
ALLOWED_NETWORKS: list[str] = env.list("AUTOLOADER_ALLOWED_NETWORKS", default=[])

# Alerts.
#: where people reach the pages; links in alerts begin with it.
BASE_URL = env.str("AUTOLOADER_BASE_URL", default=f"http://localhost:{PORT}")
EMAIL_HOST = env.str("EMAIL_HOST", default="")  # none: no mail is sent
EMAIL_PORT = env.int("EMAIL_PORT", default=25)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=False)
EMAIL_USE_SSL = env.bool("EMAIL_USE_SSL", default=False)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="autoloader@localhost")

#: rows of user data that a page or a command may show at once.
SAMPLE_ROWS_LIMIT = 100

#: whether /metrics answers anyone who reaches the port; else only a superuser, by token or session.
METRICS_PUBLIC = env.bool("AUTOLOADER_METRICS_PUBLIC", default=False)
LOG_LEVEL = env.str("AUTOLOADER_LOG_LEVEL", default="INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "autoloader.lib.logs.ContextFilter"}},
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
            "rename_fields": {"asctime": "at", "levelname": "level", "name": "logger"},
        }
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "json",
            "filters": ["context"],
        }
    },
    "root": {"handlers": ["stdout"], "level": LOG_LEVEL},
    "loggers": {
        # The Spark Connect client logs whole plans, and with them reader options, on errors.
        "pyspark": {"level": "CRITICAL"},
        "SparkConnectClient": {"level": "CRITICAL"},
        "py4j": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
        "boto3": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
    },
}
