"""The figures of the bundled model, from the scorecard and the training log that lie beside its weights."""

import json
from typing import Any

from organism_common import table

from thymos.bundled import model_path

MODELS = model_path("bundled").parent
NONE = "No weights ship yet: no training has reached its marks."


def scorecard() -> str:
    """Every figure with its interval, its mark and the verdict, part by part."""
    if not (MODELS / "scorecard.json").exists():
        return NONE
    found = json.loads((MODELS / "scorecard.json").read_text(encoding="utf-8"))
    quick = " --quick" if found["quick"] else ""
    parts = [f"`thymos organism score{quick} --seed {found['seed']}`; marks: {found['marks']}."]
    for section in found["sections"]:
        rows = [(_plain(f["name"]), _value(f), _mark(f), _plain(f["note"])) for f in section["figures"]]
        parts.append(f"### {section['title'].capitalize()}\n\n{table(('figure', 'value', 'mark', 'note'), rows)}")
    return "\n\n".join(parts)


def training() -> str:
    """What the training log says."""
    if not (MODELS / "training.json").exists():
        return NONE
    log = json.loads((MODELS / "training.json").read_text(encoding="utf-8"))
    rows: list[tuple[str, object]] = [
        ("preset, seed", f"`{log['preset']}`, {log['seed']}"),
        ("parameters", f"{log['parameters']:,}"),
        ("hardware", log["hardware"]),
    ]
    for stage in log["stages"]:
        losses = [loss for _, loss in stage["losses"]]
        last = losses[-max(len(losses) // 20, 1) :]
        told = f"{stage['steps']:,} steps, {stage['tokens']:,} tokens, {stage['seconds'] / 60:.0f} min"
        rows.append((f"`{stage['stage']}`", f"{told}, loss of the last twentieth {sum(last) / len(last):.3f}"))
    return table(("what", "value"), rows)


def _value(figure: dict[str, Any]) -> str:
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:.4g}"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _mark(figure: dict[str, Any]) -> str:
    if figure["mark"] is None:
        return ""
    return f"{figure['side']} {figure['mark']:.3g}: {'reached' if figure['reached'] else '**missed**'}"


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
