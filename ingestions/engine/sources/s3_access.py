"""Who we are for S3: keys, session token, assumed role or the environment's own identity; for us and for Spark."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    Credentials,
    ReadOnlyCredentials,
    RefreshableCredentials,
)

from autoloader.lib.crypto import fingerprint
from autoloader.lib.errors import AccessError, ConfigError
from ingestions.engine import config
from ingestions.engine.sources.base import SparkAccess
from ingestions.engine.sources.s3_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DEFAULT_REGION = "us-east-1"
_PROVIDERS = "org.apache.hadoop.fs.s3a"
_ROLE_SECONDS = 3600
#: assumed identities that are kept for the next source of the same kind, so that a run keeps one alias.
_ROLES_KEPT = 256


def _settings(**more: Any) -> Config:
    """How the SDK behaves: bounded in time and tries. The server's own AWS_ENDPOINT_URL redirects nobody's keys."""
    options: dict[str, Any] = {
        "connect_timeout": 5,
        "retries": {"mode": "standard", "total_max_attempts": 4},
        "max_pool_connections": 20,
        "ignore_configured_endpoint_urls": True,
        "response_checksum_validation": "when_required",
        **more,
    }
    return Config(**options)


def check_credentials(credentials: config.Credentials) -> None:
    """Raises ConfigError for credentials that cannot work together; asks no store."""
    given = [bool(credentials.aws_access_key_id), bool(credentials.aws_secret_access_key)]
    if any(given) != all(given):
        raise ConfigError(
            "incomplete_credentials",
            "Only one of access key and secret key is given.",
            "Give both, or {“ambient”: true} for the environment's own identity.",
            field="source.credentials",
        )
    if credentials.aws_session_token and not all(given):
        raise ConfigError(
            "incomplete_credentials",
            "A session token is given without the keys it belongs to.",
            "Give aws_access_key_id and aws_secret_access_key of the same session.",
            field="source.credentials",
        )
    if credentials.ambient and any(given):
        raise ConfigError(
            "two_credentials",
            "Both keys and the ambient identity are given.",
            "Give one of them.",
            field="source.credentials.ambient",
        )


@dataclass(frozen=True, repr=False)
class S3Access:
    """One identity at one endpoint."""

    credentials: config.Credentials
    alias_key: str

    def __post_init__(self) -> None:
        given = self.credentials
        check_credentials(given)
        if not (given.aws_access_key_id or given.ambient or given.role_arn):
            raise ConfigError(
                "credentials_missing",
                "The source has no credentials.",
                "Give aws_access_key_id and aws_secret_access_key, a role_arn, or {“ambient”: true}.",
                field="source.credentials",
            )

    @property
    def secrets(self) -> tuple[str, ...]:
        given = self.credentials
        return tuple(
            value for value in (given.aws_access_key_id, given.aws_secret_access_key, given.aws_session_token) if value
        )

    def path_style(self, bucket: str) -> bool:
        """Own endpoints rarely have a DNS name for each bucket, and TLS names do not cover a bucket with dots."""
        if self.credentials.path_style is not None:
            return self.credentials.path_style
        return bool(self.credentials.endpoint_url) or "." in bucket

    def client(self, bucket: str, session: boto3.Session) -> S3Client:
        style = {"addressing_style": "path" if self.path_style(bucket) else "virtual"}
        settings = _settings(read_timeout=30, signature_version="s3v4", s3=style)
        return session.client("s3", endpoint_url=self.credentials.endpoint_url or None, config=settings)

    def spark_access(self, bucket: str, region: str) -> SparkAccess:
        """Session configuration for S3A under an alias scheme of its own. ``region``: where the bucket lies."""
        given = self.credentials
        endpoint = given.endpoint_url or ""
        conf = {
            "fs.s3a.path.style.access": str(self.path_style(bucket)).lower(),
            "fs.s3a.connection.ssl.enabled": str(not endpoint.startswith("http://")).lower(),
            "fs.s3a.endpoint.region": region,
            "fs.s3a.attempts.maximum": "5",
            "fs.s3a.connection.establish.timeout": "10000",
        }
        if endpoint:
            conf["fs.s3a.endpoint"] = endpoint
        keys = self._frozen()
        if keys is not None:
            conf["fs.s3a.access.key"] = keys.access_key or ""
            conf["fs.s3a.secret.key"] = keys.secret_key or ""
            conf["fs.s3a.aws.credentials.provider"] = f"{_PROVIDERS}.SimpleAWSCredentialsProvider"
            if keys.token:
                conf["fs.s3a.session.token"] = keys.token
                conf["fs.s3a.aws.credentials.provider"] = f"{_PROVIDERS}.TemporaryAWSCredentialsProvider"
        # Hadoop keeps one file system per scheme, host and user, whatever the keys: so each set of them is a scheme.
        mark = fingerprint(self.alias_key, "s3", *(part for pair in sorted(conf.items()) for part in pair))
        alias = f"al{mark}"
        conf[f"fs.{alias}.impl"] = f"{_PROVIDERS}.S3AFileSystem"
        return SparkAccess(scheme=alias, ledger_scheme="s3", conf=conf, fingerprint=mark)

    def _frozen(self) -> ReadOnlyCredentials | None:
        """The keys that count now; ``None`` for the cluster's own ambient identity."""
        if self.credentials.role_arn:
            with translated(self.credentials.role_arn, self.secrets):
                return self._role().get_frozen_credentials()
        if self.credentials.ambient:
            return None
        given = self.credentials
        return ReadOnlyCredentials(
            given.aws_access_key_id or "", given.aws_secret_access_key or "", given.aws_session_token or None
        )

    def session(self) -> boto3.Session:
        if not self.credentials.role_arn:
            return self._base_session()
        core = _core_session()
        resolver = CredentialResolver([_Assumed(self._role())])
        core.register_component("credential_provider", resolver)
        return _session(core, region_name=self._region)

    def _base_session(self) -> boto3.Session:
        """Given keys, or whatever identity the environment has."""
        given = self.credentials
        return _session(
            _core_session(),
            aws_access_key_id=given.aws_access_key_id or None,
            aws_secret_access_key=given.aws_secret_access_key or None,
            aws_session_token=given.aws_session_token or None,
            region_name=self._region,
        )

    @property
    def _region(self) -> str:
        return self.credentials.region_name or DEFAULT_REGION

    def _role(self) -> RefreshableCredentials:
        """The assumed role's keys: one set a role and identity in this process, renewed before they end."""
        given = self.credentials
        parts = (given.role_arn, given.endpoint_url, self._region, *self.secrets)
        mark = fingerprint(self.alias_key, "role", *(part or "" for part in parts))
        with _roles_lock:
            if mark not in _roles:
                _roles[mark] = RefreshableCredentials.create_from_metadata(
                    metadata=self._assume(), refresh_using=self._assume, method="sts-assume-role"
                )
                while len(_roles) > _ROLES_KEPT:
                    _roles.popitem(last=False)
            _roles.move_to_end(mark)
            return _roles[mark]

    def _assume(self) -> dict[str, str]:
        given = self.credentials
        settings = _settings(read_timeout=15)
        role = given.role_arn or ""
        try:
            with translated(role, self.secrets):
                client = self._base_session().client("sts", endpoint_url=given.endpoint_url or None, config=settings)
                answer = client.assume_role(RoleArn=role, RoleSessionName="autoloader", DurationSeconds=_ROLE_SECONDS)
                client.close()
        except AccessError as error:
            if error.code != "access_denied":
                raise
            raise AccessError(
                "role_refused",
                f"The role {role} may not be assumed.",
                "The identity needs sts:AssumeRole on the role, and the role's trust policy has to name the identity.",
            ) from None
        keys = answer["Credentials"]
        return {
            "access_key": keys["AccessKeyId"],
            "secret_key": keys["SecretAccessKey"],
            "token": keys["SessionToken"],
            "expiry_time": keys["Expiration"].isoformat(),
        }


#: the SDK's descriptions of its services, read once: reading them takes longer than all else that makes a client.
_DESCRIPTIONS = botocore.loaders.Loader()
_descriptions_lock = threading.Lock()


def _core_session() -> botocore.session.Session:
    core = botocore.session.Session()
    core.register_component("data_loader", _DESCRIPTIONS)
    return core


def _session(core: botocore.session.Session, **options: str | None) -> boto3.Session:
    with _descriptions_lock:
        session = boto3.Session(botocore_session=core, **options)
        # each session adds the same folder to those that are searched
        _DESCRIPTIONS.search_paths[:] = dict.fromkeys(_DESCRIPTIONS.search_paths)
    return session


_roles: OrderedDict[str, RefreshableCredentials] = OrderedDict()
_roles_lock = threading.Lock()


class _Assumed(CredentialProvider):
    """Hands an assumed role's keys to a session, as the SDK's chain expects it."""

    METHOD = "autoloader-assume-role"
    CANONICAL_NAME = METHOD

    def __init__(self, credentials: RefreshableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials:
        return self._credentials
