"""`Reading`: tokens x layers x concepts, with its tokens, roles and unit; it draws itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from thymos.errors import FingerprintMismatchError, LayerError, UnknownConceptError, UsageError
from thymos.figures import Caption, TokenNotes, score_timeline, token_heatmap_html, token_heatmap_text
from thymos.files import write_text
from thymos.models import CONTENT, Select, Tokens
from thymos.readings.reference import Reference

__all__ = ["Reading"]


@dataclass(frozen=True, eq=False)
class Reading:
    """Concept scores of one text at every fed token."""

    tokens: Tokens
    token_strings: tuple[str, ...]
    layers: tuple[int, ...]
    concepts: tuple[str, ...]
    scores: Float[np.ndarray, "seq layers concepts"]
    """Cosines, or z-scores after `calibrated`."""
    layer: int
    """The layer summaries use."""
    model: str
    unit: str = "cosine"
    """"cosine" or "z"."""
    centred: bool = False
    reference: str | None = None
    """Name of the reference set of z-scores."""
    denoised: bool = True
    fingerprint: str = ""
    """Weight fingerprint of the model the vectors were made from."""
    known: str = ""
    """How often the top concept is right in held-out texts, in words; empty where the card does not say."""

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        top = ", ".join(f"{name} {score:+.3f}" for name, score in self._highest(3)) or "no text"
        told = f"; {self.known}" if self.known else ""
        return f"<Reading of {len(self)} tokens, {len(self.concepts)} concepts, layer {self.layer}: {top}{told}>"

    def at(self, layer: int | None = None) -> Float[np.ndarray, "seq concepts"]:
        """Scores of one layer (default: the reading's).

        Raises:
            LayerError: The layer was not read.
        """
        chosen = self.layer if layer is None else layer
        if chosen not in self.layers:
            raise LayerError(f"layer {chosen} was not read; this reading holds {list(self.layers)}")
        found: Float[np.ndarray, "seq concepts"] = self.scores[:, self.layers.index(chosen)]
        return found

    def of(self, concept: str, layer: int | None = None) -> Float[np.ndarray, " seq"]:
        """Scores of one concept at every token.

        Raises:
            UnknownConceptError: The concept was not read.
        """
        if concept not in self.concepts:
            raise UnknownConceptError.of(concept, self.concepts, "this reading")
        found: Float[np.ndarray, " seq"] = self.at(layer)[:, self.concepts.index(concept)]
        return found

    def mean(self, select: Select = CONTENT, layer: int | None = None) -> Float[np.ndarray, " concepts"]:
        """Mean score of each concept over the selected tokens.

        Raises:
            UsageError: No token is selected.
        """
        chosen = self._mask(select)
        found: Float[np.ndarray, " concepts"] = self.at(layer)[chosen].mean(axis=0)
        return found

    def _mask(self, select: Select) -> Bool[np.ndarray, " seq"]:
        chosen = select.mask(self.tokens)
        if not chosen.any():
            raise UsageError(f"no token of this text is selected by {select}")
        return chosen

    def top(self, count: int = 5, select: Select = CONTENT, layer: int | None = None) -> list[tuple[str, float]]:
        """Concepts with the highest mean score."""
        values = self.mean(select, layer)
        return [(self.concepts[i], float(values[i])) for i in np.argsort(-values, kind="stable")[:count]]

    def by_role(self, layer: int | None = None) -> pd.DataFrame:
        """Mean score per role: one row per role, one column per concept."""
        roles = list(dict.fromkeys(span.role for span in self.tokens.roles))
        values = {role: self.mean(Select(roles=(role,)), layer) for role in roles}
        return pd.DataFrame.from_dict(values, orient="index", columns=list(self.concepts))

    def by_turn(self, layer: int | None = None) -> pd.DataFrame:
        """Mean score per turn: columns turn, role, and one per concept."""
        scores = self.at(layer)
        rows = [
            {
                "turn": s.turn,
                "role": s.role,
                **dict(zip(self.concepts, scores[s.start : s.stop].mean(axis=0).tolist(), strict=True)),
            }
            for s in self.tokens.roles
        ]
        return pd.DataFrame(rows, columns=["turn", "role", *self.concepts])

    def calibrated(self, reference: Reference) -> "Reading":
        """The same reading as z-scores against a reference set.

        Raises:
            UsageError: The reference was made with other layers, concepts, centring or directions; or this reading is
                calibrated already.
            FingerprintMismatchError: The reference was made with vectors of another model.
        """
        self._check(reference)
        z = (self.scores - reference.mean) / np.where(reference.spread == 0, 1.0, reference.spread)
        return replace(self, scores=z.astype(np.float32), unit="z", reference=reference.name)

    def p_values(self, reference: Reference) -> Float[np.ndarray, "seq layers concepts"]:
        """Share of reference tokens with a score at least as high, interpolated; never below 1 / (n + 1)."""
        self._check(reference)
        out = np.empty_like(self.scores)
        grid = reference.grid()
        for layer in range(len(self.layers)):
            for concept in range(len(self.concepts)):
                below = np.interp(self.scores[:, layer, concept], reference.quantiles[layer, concept], grid)
                out[:, layer, concept] = np.maximum(1.0 - below, 1.0 / (reference.tokens + 1))
        return out

    def _check(self, reference: Reference) -> None:
        if self.unit != "cosine":
            raise UsageError(
                f"this reading is in {self.unit} against {self.reference!r}; calibrate the original reading"
            )
        if reference.fingerprint != self.fingerprint:
            raise FingerprintMismatchError(
                f"the reference {reference.name!r} was made with vectors of the model {reference.fingerprint}, this "
                f"reading with vectors of {self.fingerprint}; calibrate with this vector set"
            )
        if reference.denoised != self.denoised:
            raise UsageError(
                f"the reference {reference.name!r} was made with denoised={reference.denoised}, this reading with "
                f"denoised={self.denoised}; calibrate with the same directions"
            )
        same = (reference.layers, reference.concepts, reference.centred) == (self.layers, self.concepts, self.centred)
        if not same:
            raise UsageError(
                f"the reference {reference.name!r} has layers {reference.layers}, {len(reference.concepts)} concepts, "
                f"centred={reference.centred}; this reading has {self.layers}, {len(self.concepts)}, {self.centred}"
            )

    def to_frame(self) -> pd.DataFrame:
        """Long table: position, token, role, special, layer, concept, score."""
        seq, layers, concepts = self.scores.shape
        per_token = layers * concepts
        return pd.DataFrame(
            {
                "position": np.repeat(np.arange(seq), per_token),
                "token": np.repeat(np.asarray(self.token_strings, object), per_token),
                "role": np.repeat(np.asarray(self._roles(), object), per_token),
                "special": np.repeat(self.tokens.special, per_token),
                "layer": np.tile(np.repeat(self.layers, concepts), seq),
                "concept": np.tile(np.asarray(self.concepts, object), seq * layers),
                "score": self.scores.reshape(-1),
            }
        )

    def to_json(self) -> str:
        """Everything, as one JSON object."""
        return json.dumps(
            {
                "model": self.model,
                "unit": self.unit,
                "reference": self.reference,
                "centred": self.centred,
                "layer": self.layer,
                "layers": list(self.layers),
                "concepts": list(self.concepts),
                "token_ids": self.tokens.ids.tolist(),
                "tokens": list(self.token_strings),
                "special": self.tokens.special.tolist(),
                "roles": self._roles(),
                "known": self.known,
                "scores": np.round(self.scores.astype(np.float64), 6).tolist(),
                "top": [{"concept": name, "score": score} for name, score in self.top(5)],
            },
            ensure_ascii=False,
        )

    def to_html(self, path: str | Path | None = None, concept: str | None = None) -> str:
        """A standalone page with the token heat map; written to `path` when one is given."""
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>thymos reading</title>'
            '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"></head>'
            f"<body>{self.heatmap(concept)}{self._told()}</body></html>"
        )
        if path is not None:
            write_text(Path(path), page)
        return page

    def heatmap(self, concept: str | None = None, layer: int | None = None) -> str:
        """HTML fragment: the text, coloured by one concept (default: the top one)."""
        name = concept or self._leading(layer)
        return token_heatmap_html(
            list(self.token_strings),
            self.of(name, layer).astype(np.float64),
            title=self._title(layer),
            concept=name,
            unit=self.unit,  # type: ignore[arg-type]
            notes=self._notes(layer),
        )

    def timeline(self, concepts: Sequence[str] | None = None, layer: int | None = None) -> object:
        """Altair chart of some concepts over token positions, with role bands."""
        names = list(concepts) if concepts is not None else [name for name, _ in self.top(4, layer=layer)]
        frame = pd.DataFrame(
            [
                {"position": position, "concept": name, "score": float(value)}
                for name in names
                for position, value in enumerate(self.of(name, layer))
                if not self.tokens.special[position]
            ]
        )
        caption = Caption(
            question="How do readings move through the text?",
            answer=f"highest on average: {names[0]}",
            mark=f"one {self.unit} per token at layer {self.layer if layer is None else layer}",
            n=f"{int((~self.tokens.special).sum())} tokens",
        )
        bands = [(span.role, span.start, span.stop) for span in self.tokens.roles]
        return score_timeline(frame, caption=caption, roles=bands, unit=self.unit)

    def _repr_html_(self) -> str:
        return self.heatmap() + self._told()

    def _told(self) -> str:
        return f"<p>{escape(self.known)}</p>" if self.known else ""

    def __rich__(self) -> RenderableType:
        name = self._leading(None)
        picture = token_heatmap_text(
            list(self.token_strings),
            self.of(name).astype(np.float64),
            title=self._title(None),
            concept=name,
            unit=self.unit,  # type: ignore[arg-type]
            notes=self._notes(None),
        )
        table = Table("concept", f"mean {self.unit}", "highest at", title="Top concepts", title_justify="left")
        content = ~self.tokens.special
        for concept, value in self._highest(5):
            peak = int(np.argmax(np.where(content, self.of(concept), -np.inf)))
            table.add_row(
                concept, f"{value:+.4f}", f"{self.token_strings[peak].strip() or self.token_strings[peak]!r} ({peak})"
            )
        return Group(picture, table, *([Text(self.known, style="dim")] if self.known else []))

    def _highest(self, count: int) -> list[tuple[str, float]]:
        """As `top`, and nothing where only the template was read: what is shown must never fail."""
        return self.top(count) if CONTENT.mask(self.tokens).any() else []

    def _leading(self, layer: int | None) -> str:
        return self.top(1, layer=layer)[0][0] if self._highest(1) else self.concepts[0]

    def _title(self, layer: int | None) -> str:
        against = f", z against {self.reference}" if self.reference else ""
        return f"{self.model}, layer {self.layer if layer is None else layer}{against}"

    def _notes(self, layer: int | None) -> TokenNotes:
        scores = self.at(layer)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :3]
        top = [", ".join(f"{self.concepts[c]} {scores[row, c]:+.3f}" for c in order) for row, order in enumerate(best)]
        return TokenNotes(special=self.tokens.special, roles=self._roles(), top=top)

    def _roles(self) -> list[str | None]:
        return [self.tokens.role_of(position) for position in range(len(self.tokens))]
