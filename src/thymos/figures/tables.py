"""Tables as HTML fragments: tokens that each vector promotes, and the members of each cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thymos.errors import UsageError
from thymos.figures._html import render, visible
from thymos.figures.theme import Caption


@dataclass(frozen=True)
class LensRow:
    """What one vector promotes and suppresses through the unembedding.

    Attributes:
        concept: The concept.
        up: Token strings with the largest logits, largest first.
        down: Token strings with the smallest logits, smallest first.
        note: Anything else worth a column, e.g. the rank of the concept's own word; "" for nothing.
    """

    concept: str
    up: Sequence[str]
    down: Sequence[str]
    note: str = ""


def logit_lens_table(rows: Sequence[LensRow], *, caption: Caption, note: str = "note") -> str:
    """Top and bottom tokens of each vector as an HTML fragment.

    Args:
        rows: One per concept.
        caption: The words.
        note: Title of the last column, which is there only if a row has a note.

    Raises:
        UsageError: No rows.
    """
    if not rows:
        raise UsageError("logit-lens table: no rows; give at least one concept")
    columns = [("concept", "head"), ("promoted tokens", "tokens"), ("suppressed tokens", "tokens")]
    cells: list[list[object]] = [
        [row.concept, [visible(token) for token in row.up], [visible(token) for token in row.down]] for row in rows
    ]
    if any(row.note for row in rows):
        columns.append((note, "text"))
        for cell, row in zip(cells, rows, strict=True):
            cell.append(row.note)
    return render("table.html.jinja", caption=caption, columns=columns, rows=cells)


def kmeans_table(clusters: Mapping[str, Sequence[str]], *, caption: Caption) -> str:
    """Members of each cluster as an HTML fragment.

    Args:
        clusters: Concepts by cluster name, in the order to show.
        caption: The words; say the number of clusters and the seed in it.

    Raises:
        UsageError: No clusters.
    """
    if not clusters:
        raise UsageError("cluster table: no clusters; give at least one")
    columns = [("cluster", "head"), ("n", "number"), ("concepts", "text")]
    rows = [[name, len(members), ", ".join(members)] for name, members in clusters.items()]
    return render("table.html.jinja", caption=caption, columns=columns, rows=rows)
