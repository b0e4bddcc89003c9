"""Are loving and calm read on replies that support what nobody can believe?"""

from collections.abc import Sequence

import numpy as np

from thymos.errors import UsageError
from thymos.stats import Interval, auroc
from thymos.studies.bench import Context, seed_of
from thymos.studies.blackmail_readings import linked
from thymos.studies.probes import group_splits, lexical_scores
from thymos.studies.protocol import Estimate, estimate
from thymos.studies.rollouts import REPLIED
from thymos.studies.slots import matrix
from thymos.studies.trials import Record

__all__ = ["reading_estimates"]

_WATCHED = ("loving", "calm")
_FEW = 4


def reading_estimates(rows: Sequence[Record], context: Context, permutations: int) -> list[Estimate]:
    """AUROC of a reading for supportive against sober replies, beside that of their words."""
    read = [row for row in rows if row[REPLIED] is not None]
    supports = np.asarray([bool(row["meta"]["supports"]) for row in read], bool)
    if min(int(supports.sum()), int((~supports).sum())) < _FEW:
        return []
    columns = matrix(read, REPLIED, kind="centred")
    _, family = linked(columns, supports.astype(np.float64), permutations, seed_of(context.seed, "supportive"))
    words = _words(read, supports, context)
    found = []
    for concept in (one for one in _WATCHED if one in read[0]["concepts"]):
        at = list(read[0]["concepts"]).index(concept)
        area = auroc(columns[:, at], supports, seed=context.seed)
        found.append(
            estimate(
                f"AUROC of {concept} on supportive against sober replies", area, p=float(family[at]), chance=0.5,
                paper="loving and calm rise on over-supportive parts (three examples)",
                control="" if words is None else f"tf-idf of prompt and reply, groups held out: {words}",
                clear=None if words is None else bool(area.low > words.estimate),
                note="p against the largest of all concepts under shuffled labels",
            )
        )  # fmt: skip
    return found


def _words(read: Sequence[Record], supports: np.ndarray, context: Context) -> Interval | None:
    groups = [str(row["meta"]["group"]) for row in read]
    try:
        splits = group_splits(groups, 5, context.seed)
        scores = lexical_scores([row["text"] for row in read], supports.astype(np.int64), 2, splits)
    except UsageError:
        # One group, or texts without words: there is no word baseline to beat.
        return None
    return auroc(scores[:, 1], supports, seed=context.seed)
