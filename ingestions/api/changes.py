"""Bodies that hold parts of a configuration: every field may be left out, at any depth."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from ingestions.engine.config import IngestionConfig, Part

_MADE: dict[type[BaseModel], type[BaseModel]] = {}


def _without_defaults(schema: dict[str, Any]) -> None:
    for described in schema.get("properties", {}).values():
        described.pop("default", None)


def partial(model: type[BaseModel]) -> type[BaseModel]:
    """The model with nothing required; parts of it are partial too, lists and free mappings are whole."""
    if model not in _MADE:
        fields: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            fields[name] = (_partial_type(field.annotation), _optional(field))
        config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_extra=_without_defaults)
        made = create_model(f"{model.__name__}Changes", __config__=config, __doc__=model.__doc__, **fields)
        _MADE[model] = made
    return _MADE[model]


def _partial_type(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return partial(annotation)
    if annotation == dict[str, str]:  # names of people's own: null takes one away
        return dict[str, str | None]
    parts = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, Part)]
    if len(parts) == 1 and type(None) in get_args(annotation):  # Credentials | None
        return partial(parts[0]) | None
    return annotation


def _optional(field: FieldInfo) -> FieldInfo:
    other = copy(field)
    other.default, other.default_factory = None, None
    return other


def given(body: BaseModel) -> dict[str, Any]:
    """Only what was sent, by the contract's names."""
    return body.model_dump(mode="json", by_alias=True, exclude_unset=True)


class _Beside(BaseModel):
    """What an edit may hold beside parts of a configuration."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_extra=_without_defaults)

    status: Literal["draft", "active", "paused", "error"] = "draft"
    config_version: int = Field(
        0, ge=1, description="The version the edit was made over; 409 `stale_edit` where there is a newer one by now."
    )
    id: Any = Field(None, description="Passed over, as every field that only answers have.")
    status_reason: Any = None
    spark_connect_url: Any = None
    created_at: Any = None
    updated_at: Any = None
    created_by: Any = None
    totals: Any = None
    metadata: Any = None
    warnings: Any = None
    effects: Any = None


if TYPE_CHECKING:

    class ConfigurationChanges(BaseModel): ...

    class IngestionChanges(BaseModel): ...

else:
    ConfigurationChanges = partial(IngestionConfig)
    ConfigurationChanges.__name__ = "ConfigurationChanges"
    IngestionChanges = create_model("IngestionChanges", __base__=(ConfigurationChanges, _Beside))
    ConfigurationChanges.__doc__ = "Parts of a configuration. Objects merge deeply, lists and null replace."
    IngestionChanges.__doc__ = (
        "Parts of a configuration, or a whole answer: objects merge deeply, lists and null replace."
    )
