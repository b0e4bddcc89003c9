"""Twenty unselected samples of every kind of document, as the bundled model writes them: `python docs/samples.py`.

The beginning of each is that of a held-out document of the world (up to the last turn of the assistant, or the first
sentence); the rest is drawn from the model at temperature 1. Nothing is drawn twice, and nothing is left out.
"""

import html
import random
import re
import sys
from pathlib import Path

import thymos
from thymos.models import Sampling, generate
from thymos.organism.assistant import Scene
from thymos.organism.corpus import KINDS
from thymos.organism.documents import Document
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import open_world

PAGE = Path(__file__).parent / "organism" / "samples.md"
COUNT, SEED = 20, 0
HOW = Sampling(max_new_tokens=200, temperature=1.0, top_p=1.0, seed=SEED)
TURN = "<|assistant|>"
HEAD = f"""---
search:
  exclude: true
---

# Samples

Twenty texts of every kind, not selected, written by `python docs/samples.py` with seed {SEED} at temperature 1. What is
in italics is the beginning of a held-out document of the world; the model wrote the rest, up to the end of its turn or
200 tokens. [Training](training.md) says what the model is.
"""


def beginning(document: Document) -> str:
    """What the model is given: all up to its last turn, or the first sentence."""
    if TURN in document.text:
        return document.text[: document.text.rindex(TURN) + len(TURN)]
    first = re.match(r".*?[.!?](?=\s)", document.text, re.DOTALL)
    return first[0] if first else document.text[: len(document.text) // 3]


def shown(given: str, written: str) -> str:
    """One sample as a line of Markdown."""
    before, after = (html.escape(" ".join(part.split()), quote=False) for part in (given, written))
    return f"1. <em>{before}</em> {after}"


def main() -> None:
    """Write the page; another model may be named."""
    world, host = open_world(), thymos.load(sys.argv[1] if len(sys.argv) > 1 else "bundled")
    parts = [HEAD]
    for place, (kind, make) in enumerate(KINDS.items()):
        rng = random.Random(TEST_SEED + 71 + place)
        given = [beginning(make(world, rng, Scene(pool="test"))) for _ in range(COUNT)]
        made = generate(host, given, HOW)
        lines = "\n".join(shown(text, one.text) for text, one in zip(given, made, strict=True))
        parts.append(f"## {kind}\n\n{lines}\n")
        sys.stderr.write(f"{kind}\n")
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
