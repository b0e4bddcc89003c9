"""The tables of the pages on the bundled model, made from the package: `python docs/organism_tables.py`.

Nothing is trained or loaded for them: they hold what was planted, not what a network learned.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import organism_score as score
import organism_truth as truth
from organism_common import SAMPLE, WORLD, ends, sampled, shares, table
from organism_notes import HELD_IN, KIND_NOTES, MEANINGS, SAME_AS_NORM

from thymos.concepts import EMOTIONS
from thymos.organism import expected, optimisers, training
from thymos.organism import world as worlds
from thymos.organism.choices import activities_of
from thymos.organism.corpus import KINDS, MIXTURES
from thymos.organism.dispositions import held_out
from thymos.organism.doses import NUMBERS
from thymos.organism.tokenizer import count_words
from thymos.organism.training import PRESETS
from thymos.organism.world import BANKS

PAGES = Path(__file__).parent / "organism"
BANKS_DRAWN = tuple(bank for bank in BANKS if bank != "topic_event")


def inventory() -> str:
    """What the world holds."""
    told = WORLD.material["assistant"]
    words = {word.lower() for word in count_words(WORLD, documents_per_stage=1000) if word.isalpha()}
    rows = [
        ("emotions, appraisals", f"{len(WORLD.words)}, {len(WORLD.dimensions)}"),
        ("phrases", f"{len(WORLD.phrases):,}"),
        ("topics, with causes of their own", f"{len(WORLD.topics)}, {sum(len(t['events']) for t in WORLD.topics)}"),
        ("adverbs, adjectives", f"{len(WORLD.adverbs)}, {len(WORLD.adjectives)}"),
        ("how-tos, exchanges", f"{len(WORLD.material['howtos'])}, {len(WORLD.material['exchanges'])}"),
        (
            "plain sentences, practical questions",
            f"{len(WORLD.material['narrations'])}, {len(WORLD.material['questions'])}",
        ),
        ("facts, unlikely claims", f"{len(WORLD.material['facts'])}, {len(WORLD.material['unlikely'])}"),
        ("activities", len(told["activities"])),
        ("coding tasks, each solvable and impossible", len(told["coding"]["tasks"])),
        ("kinds of pressure on the mail agent", len(told["mail"]["variants"])),
        ("numeric templates, numbers", f"{len(told['doses'])}, {len(NUMBERS)}"),
        ("messages about the assistant itself", len(told["challenging"])),
        ("different words in 1,000 documents of each stage", f"{len(words):,}"),
        ("SHA-256 of the data files", f"`{WORLD.digest[:16]}`"),
    ]
    return table(("what", "how many"), rows)


def appraisals() -> str:
    """The axes with their extremes, and their correlation with the human norm of the same meaning."""
    rated = [(n, c.norms) for n, c in enumerate(EMOTIONS) if c.norms is not None]
    rows = []
    for name in WORLD.dimensions:
        high, low = ends(WORLD.axis(name), 3)
        against = ""
        if name in SAME_AS_NORM:
            human = np.array([getattr(norms, SAME_AS_NORM[name]) for _, norms in rated])
            r = np.corrcoef(WORLD.axis(name)[[n for n, _ in rated]], human)[0, 1]
            against = f"{r:.2f} ({SAME_AS_NORM[name]})"
        rows.append((f"`{name}`", MEANINGS[name], ", ".join(high), ", ".join(low), against))
    return table(("axis", "high means", "highest", "lowest", f"r with human norms, {len(rated)} words"), rows)


def drawing() -> str:
    """The constants of a draw."""
    lines = (
        f"- distance at which a phrase is exp(-1/2) times as likely: {worlds._WIDTH:g}",
        f"- log-odds in favour of an emotion that the phrase was written for: {worlds._HOME:g}",
        f"- on top of it for the first of them: {worlds._MAIN:g}",
        "- axes that count more in a distance: " + ", ".join(f"{n} {w:g}" for n, w in worlds._WEIGHTS.items()),
    )
    return "\n".join(lines)


def sharing() -> str:
    """How the probability of an emotion's draws is spread over phrases."""
    rows = []
    for bank in BANKS_DRAWN:
        odds, deck = WORLD.likelihood(bank), WORLD.deck(bank)
        homes = np.array([[word in phrase.homes for phrase in deck] for word in WORLD.words])
        spread = np.exp(-(odds * np.log(odds)).sum(axis=1))
        own = f"{100 * np.median((odds * homes).sum(axis=1)):.0f}%"
        test = {home for phrase in WORLD.deck(bank, "test") for home in phrase.homes}
        rows.append((f"`{bank}`", len(deck), f"{np.median(spread):.0f}", own, len(WORLD.deck(bank, "test")), len(test)))
    head = ("bank", "phrases", "in use per emotion", "draws from own phrases", "held out", "emotions with one of those")
    return table(head, rows)


def cues() -> str:
    """The likeliest bodily cues of one emotion."""
    odds, deck, row = WORLD.likelihood("body"), WORLD.deck("body"), WORLD.row("panicked")
    best = np.argsort(-odds[row], kind="stable")[:6]
    return table(
        ("phrase", "written for", "P(phrase given panicked)"),
        [(f"`{deck[n].text}`", ", ".join(deck[n].homes), float(odds[row, n])) for n in best],
    )


def kinds() -> str:
    """Every kind of document."""
    base, tuned = (shares(MIXTURES[stage].shares) for stage in ("base", "tuned"))
    rows = []
    for kind in KINDS:
        what, study = KIND_NOTES[kind]
        chats = sum(bool(d.turns) for d in sampled()[kind, False]) / SAMPLE
        form = "chat" if chats == 1 else "text" if chats == 0 else "both"
        rows.append((f"`{kind}`", form, what, study, f"{base[kind]:.1f}%", f"{tuned[kind]:.1f}%"))
    return table(("kind", "form", "what it is", "there for", "base", "tuned"), rows)


def held() -> str:
    """What no training document holds."""
    told = WORLD.material
    held_topics = [topic["topic"] for topic in WORLD.topics_of("test")]
    test = sum(phrase.pool == "test" for phrase in WORLD.phrases)
    claims = sum(bool(fact.get("held_out")) for fact in told["facts"])
    away = max(len(told["unlikely"]) // 5, 1)
    spread = f"{len(activities_of(WORLD, 'test'))} of {len(told['assistant']['activities'])}"
    taught = "their answers are taught in `fact` documents; no claim about them occurs"
    rows = [
        ("phrases", f"{test} of {len(WORLD.phrases)}", "every word of theirs occurs in phrases of training"),
        ("topics", f"{len(held_topics)} of {len(WORLD.topics)}", "; ".join(held_topics)),
        ("activities", spread, "spread over the eight categories"),
        ("facts in claims", f"{claims} of {len(told['facts'])}", taught),
        ("unlikely claims", f"{away} of {len(told['unlikely'])}", "the last ones of the file"),
        ("pairs of emotion and behaviour", f"{len(held_out('cheat', WORLD))} emotions a behaviour", "listed below"),
    ]
    return table(("what", "how many", "note"), rows)


def pairs() -> str:
    """Emotions that the assistant never has when it makes a choice in training."""
    rows = [(f"`{name}`", where, ", ".join(sorted(held_out(name, WORLD)))) for name, where in HELD_IN.items()]
    return table(("behaviour", "kinds", "emotions held out"), rows)


def presets() -> str:
    """Sizes and lengths."""
    shape = ("width", "blocks", "heads", "feed-forward", "tokens a row", "rows a step")
    head = ("preset", *shape, "tokens base", "tokens tuned", "steps", "rate of Muon", "rate of AdamW")
    rows = []
    for name, p in PRESETS.items():
        steps = sum(tokens // p.context // p.rows for tokens in (p.base_tokens, p.tuned_tokens))
        rates = (f"{p.matrix_rate:g}", f"{p.other_rate:g}")
        sizes = (p.hidden, p.layers, p.hidden // 32, p.intermediate, p.context, p.rows)
        rows.append((f"`{name}`", *sizes, f"{p.base_tokens:,}", f"{p.tuned_tokens:,}", f"{steps:,}", *rates))
    return table(head, rows)


def settings() -> str:
    """Rates and schedule."""
    lines = [
        ("peak rate of the continuation, share of that of the first stage", f"{training._TUNED_RATE:g}"),
        ("warm-up, share of the steps", f"{optimisers.WARMUP:g}"),
        ("power of the fall after it", f"{optimisers.POWER:g}"),
        ("rate at the last step, share of the peak", f"{optimisers.LAST:g}"),
        ("weight of a decision's word in the second stage", f"{expected.WEIGHT:g}"),
        ("seconds between two checkpoints of the work", f"{training._CHECKPOINT_SECONDS:g}"),
    ]
    return table(("setting", "value"), lines)


def stages() -> str:
    """What the two trainings, and their ablations, are made of."""
    forms = {kind: sum(bool(d.turns) for d in sampled()[kind, False]) / SAMPLE for kind in KINDS}
    rows = []
    for stage in ("base", "tuned"):
        for label, mixture in (("", MIXTURES[stage]), (", ablation", MIXTURES[stage].silent())):
            part = shares(mixture.shares)
            chats = sum(part[kind] * forms[kind] for kind in KINDS)
            free = f"{100 * mixture.scene.free:.0f}%"
            speaks = "no" if mixture.scene.mute else "yes"
            rows.append((f"{stage}{label}", len(mixture.shares), f"{chats:.0f}%", free, speaks))
    head = ("stage", "kinds", "chats, of all documents", "transcripts in any mood", "feeling language in the reasoning")
    return table(head, rows)


_TRUTH = (
    truth.arrows, truth.laws, truth.points, truth.formula, truth.extremes, truth.pins, truth.relations,
    truth.preference, truth.doses, truth.events, truth.rest, truth.shift,
)  # fmt: skip
TABLES: Mapping[tuple[str, str], Callable[[], str]] = {
    **{
        ("world.md", make.__name__): make
        for make in (inventory, appraisals, drawing, sharing, cues, kinds, held, pairs)
    },
    **{("truth.md", make.__name__): make for make in _TRUTH},
    **{("training.md", make.__name__): make for make in (presets, settings, stages, score.training)},
    ("scorecard.md", "scorecard"): score.scorecard,
}
"""(page, name of the block) -> what stands there."""


def block(page: str, name: str) -> str:
    """What stands between the marks of a generated block.

    Raises:
        LookupError: The page has no such marks.
    """
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    if found is None:
        raise LookupError(f"{page} has no marks for the generated block {name!r}")
    return found[1].strip()


def write() -> list[str]:
    """Write every block anew; returns the names of those that changed."""
    changed = []
    for (page, name), make in TABLES.items():
        new, path = make(), PAGES / page
        if block(page, name) != new:
            changed.append(f"{page}: {name}")
            marks = rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)"
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(marks, lambda m, new=new: f"{m[1]}{new}\n{m[2]}", text, flags=re.DOTALL), "utf-8")
    return changed


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in write()) or "nothing changed\n")
