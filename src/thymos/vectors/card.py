"""`card.json`: everything about a vector set that can be silently wrong."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from thymos.errors import SchemaError

__all__ = ["SCHEMA_VERSION", "Card", "CorpusCard", "DenoiseCard", "ModelCard", "make_card", "parse_card"]

SCHEMA_VERSION = 1
HOOK_SITE = "block_output"


class _Strict(BaseModel):
    """Unknown keys are errors: a misspelt key must not pass for a missing one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelCard(_Strict):
    """The model the vectors belong to."""

    id: str
    revision: str | None = None
    fingerprint: str
    """`Host.fingerprint`: SHA-256 over a sample of every weight tensor."""
    architecture: str
    n_layers: int = Field(ge=1)
    hidden_size: int = Field(ge=1)
    dtype: str


class CorpusCard(_Strict):
    """Texts that went into the vectors."""

    name: str
    sha256: str
    texts: int = Field(ge=0)
    used: int = Field(ge=0)
    """Texts long enough to be used."""
    tokens: int = Field(ge=0)
    """Selected tokens."""


class DenoiseCard(_Strict):
    """How neutral components were found and removed."""

    unit: Literal["tokens", "dialogues"]
    first_token: int = Field(ge=1)
    """First content token of each neutral text used; the first few are attention sinks with huge norms."""
    share: float
    """Share of neutral variance asked for."""
    components: dict[int, int]
    """Layer -> number of components removed (K)."""
    alternative: dict[int, int] = {}
    """Layer -> K had the other unit been used; its count is never given in the paper, so both are reported."""
    agreement: dict[int, float] = {}
    """Layer -> median over concepts of the cosine between directions denoised by either unit."""
    sketch: int | None = None
    """Rows of the Frequent Directions sketch; None: exact matrices."""


class Card(_Strict):
    """The whole card. Layers are 0-based block outputs."""

    schema_version: int = SCHEMA_VERSION
    concepts: tuple[str, ...]
    layers: tuple[int, ...]
    layer: int
    """The set's chosen layer: read and steered by default."""
    layer_choice: str
    """How it was chosen."""
    model: ModelCard
    hook_site: Literal["block_output"] = "block_output"
    estimator: str
    estimator_settings: dict[str, Any] = {}
    first_token: int = Field(ge=1)
    """First content token used, counted from 1."""
    max_tokens: int | None = None
    format: Literal["raw", "chat", "while_generating"] = "raw"
    counts: dict[str, int]
    """Stories used per concept."""
    stories: CorpusCard
    neutral: CorpusCard
    denoise: DenoiseCard
    seed: int = 0
    batch_tokens: int
    quality: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = {}

    @field_validator("concepts")
    @classmethod
    def _names_are_plain(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Concept names become file names in exports, so nothing that could leave a folder is allowed."""
        for name in names:
            if not name.strip() or re.search(r"[/\\\x00-\x1f]|^\.", name) or len(name) > 100:
                raise ValueError(f"concept name {name!r} is not a plain word or phrase")
        if len(set(names)) != len(names):
            raise ValueError("concept names repeat")
        return names

    @model_validator(mode="after")
    def _fits_together(self) -> "Card":
        if not self.concepts or not self.layers:
            raise ValueError("a card needs at least one concept and one layer")
        if self.layer not in self.layers:
            raise ValueError(f"the chosen layer {self.layer} is not among the layers {list(self.layers)}")
        if (
            tuple(sorted(set(self.layers))) != self.layers
            or self.layers[-1] >= self.model.n_layers
            or self.layers[0] < 0
        ):
            raise ValueError(f"layers {list(self.layers)} are not sorted layers of a model with {self.model.n_layers}")
        return self


def parse_card(text: str) -> Card:
    """Read a card.

    Raises:
        SchemaError: Not JSON, a newer schema, unknown or missing keys, or values that do not fit together.
    """
    try:
        # The version first: the keys of a newer schema are not misspelt.
        seen = _Version.model_validate_json(text).schema_version
        if seen > SCHEMA_VERSION:
            raise SchemaError(
                f"card.json has schema {seen}, newer than {SCHEMA_VERSION}, the newest this thymos reads; upgrade "
                "thymos"
            )
        return Card.model_validate_json(text)
    except ValidationError as err:
        raise SchemaError(f"card.json is not a valid card: {_first_problem(err)}") from err


def make_card(**fields: Any) -> Card:
    """A card from its fields.

    Raises:
        SchemaError: Unknown or missing fields, or values that do not fit together.
    """
    try:
        return Card.model_validate(fields)
    except ValidationError as err:
        raise SchemaError(f"these values do not make a card: {_first_problem(err)}") from err


class _Version(BaseModel):
    schema_version: int = SCHEMA_VERSION


def _first_problem(err: ValidationError) -> str:
    first = err.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "card"
    return f"{where}: {first['msg']} ({err.error_count()} problem(s))"
