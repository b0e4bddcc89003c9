"""Cards, exports, and the hub."""

import sys

from thymos.cli.jobs.show import emit, pairs, table
from thymos.cli.options import Output
from thymos.cli.sharing import Card, Export, Pull, Push
from thymos.errors import UsageError
from thymos.vectors import EmotionVectors, hub
from thymos.vectors import export as exports
from thymos.vectors.emotion_vectors import figure_cells, readme

__all__ = ["card", "export", "pull", "push"]


def card(card: Card, output: Output) -> None:
    """Print a card."""
    vectors = EmotionVectors.load(card.vectors)
    if card.readme:
        if output.as_json:
            raise UsageError("--readme prints Markdown and --json the card; give one of them")
        sys.stdout.write(readme(vectors.card))
        return
    about = vectors.card
    stored = about.quality.get("figures")
    figures = [
        (name, *figure_cells(value))
        for name, value in (stored.items() if isinstance(stored, dict) else ())
        if isinstance(value, dict)
    ]
    notes = {f"note {number}": text for number, text in enumerate(about.notes, start=1)}
    made = {
        "fingerprint": about.model.fingerprint,
        "format": about.format,
        "neutral texts": f"{about.neutral.used} of {about.neutral.texts}",
        "seed": about.seed,
        "versions": ", ".join(f"{name} {version}" for name, version in about.versions.items()),
    }
    views = [pairs("Emotion vectors", {**vectors.summary(), **made, **notes})]
    if figures:
        views.append(table("Quality", ("figure", "value", "interval", "chance", "p", "n"), figures))
    emit(output, about.model_dump(mode="json"), *views)


def export(export: Export, output: Output) -> None:
    """Write another tool's file."""
    kind = export.format or export.out.suffix.lstrip(".").lower()
    vectors = EmotionVectors.load(export.vectors)
    path = exports.export(vectors, export.out, kind, export.concept)
    result = {"out": path, "format": kind, "concept": export.concept, "bytes": path.stat().st_size}
    emit(output, result, pairs("Exported", result))


def push(push: Push, output: Output) -> None:
    """Upload a vector set."""
    vectors = EmotionVectors.load(push.vectors)
    address = hub.push(vectors, push.repository, private=not push.public, message=push.message)
    result = {"repository": push.repository, "commit": address}
    emit(output, result, pairs("Pushed", result))


def pull(pull: Pull, output: Output) -> None:
    """Download a vector set and keep a copy."""
    if pull.out.exists() and not pull.overwrite:
        raise UsageError(f"--out {pull.out} exists; name another folder, or give --overwrite")
    vectors = hub.pull(pull.repository, revision=pull.revision)
    vectors.save(pull.out)
    result = {"out": pull.out, **vectors.summary()}
    emit(output, result, pairs("Pulled", result))
