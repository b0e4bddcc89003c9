"""Outcomes counted over sampled replies, where they cannot be scored exactly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from thymos.behaviour.points import Options
from thymos.errors import UsageError, did_you_mean
from thymos.models import Host, Intervention, Sampling, Tokens, generate
from thymos.stats import Interval, wilson

__all__ = ["OTHER", "OptionMatcher", "Sampled", "match_options", "sample_decisions"]

OTHER = "other"
"""Outcome of replies that are none of the known ones."""

_ROWS_AT_ONCE = 32
"""Replies generated together. Part of what a seed means: a reply's random stream is that of its place in its batch."""


@dataclass(frozen=True)
class OptionMatcher:
    """A classifier by the longest continuation that a reply starts with; white space around it does not count."""

    options: Options

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes it can return."""
        return self.options.names

    def __call__(self, text: str) -> str | None:
        """The outcome of a reply, or None."""
        reply = text.lstrip()
        fits = [
            (len(start.strip()), outcome)
            for outcome, starts in self.options.outcomes.items()
            for start in starts
            if start.strip() and reply.startswith(start.strip())
        ]
        return max(fits, key=lambda fit: fit[0])[1] if fits else None


def match_options(options: Options) -> OptionMatcher:
    """A classifier of replies that agrees with exact scoring: the longest continuation said decides."""
    return OptionMatcher(options)


@dataclass(frozen=True, eq=False)
class Sampled:
    """Counts of outcomes over sampled replies."""

    outcomes: tuple[str, ...]
    """Known outcomes and those seen, "other" last."""
    counts: Int[np.ndarray, "prompts outcomes"]
    texts: tuple[tuple[str, ...], ...]
    """The replies of each prompt."""

    def rate(self, outcome: str, prompt: int | None = None, level: float = 0.95) -> Interval:
        """Share of replies with an outcome, with Wilson's interval.

        Args:
            outcome: Which one.
            prompt: Of one prompt only. Over several prompts the interval is about these prompts, not about others.
            level: Confidence level.

        Raises:
            UsageError: An outcome that is not known.
        """
        if outcome not in self.outcomes:
            raise UsageError(
                f"no outcome {outcome!r}{did_you_mean(outcome, self.outcomes)}; outcomes: {', '.join(self.outcomes)}"
            )
        counts = self.counts if prompt is None else self.counts[prompt : prompt + 1]
        return wilson(int(counts[:, self.outcomes.index(outcome)].sum()), int(counts.sum()), level)

    @property
    def rates(self) -> dict[str, Interval]:
        """Share of every outcome over all prompts."""
        return {outcome: self.rate(outcome) for outcome in self.outcomes}


def sample_decisions(
    host: Host,
    prompts: Sequence[str | Tokens],
    classify: Callable[[str], str | None],
    n: int,
    sampling: Sampling | None = None,
    interventions: Sequence[Intervention] = (),
    seed: int = 0,
) -> Sampled:
    """Sample replies and count what they mean.

    Args:
        host: A decoder.
        prompts: Texts, or tokens from `chat_tokens` or a decision point.
        classify: Reply -> outcome, or None for "other". Its `outcomes`, if it has any, are counted even when unseen.
        n: Replies per prompt.
        sampling: How tokens are chosen; default 32 new tokens at temperature 1. Its own seed is not used.
        interventions: Applied while generating.
        seed: Same seed, same replies.

    Raises:
        UsageError: No prompts, n below 1, or several greedy replies per prompt.
    """
    how = sampling or Sampling(max_new_tokens=32, temperature=1.0)
    if n < 1 or not prompts:
        raise UsageError(f"{n} replies to each of {len(prompts)} prompts are no sample; at least 1 of both is needed")
    if how.temperature == 0 and n > 1:
        raise UsageError(f"temperature 0 gives the same reply {n} times; raise the temperature or take n=1")
    fed = [prompt for prompt in prompts for _ in range(n)]
    replies: list[str] = []
    for chunk, rows in enumerate(_chunks(fed)):
        drawn = int(np.random.SeedSequence([seed, chunk]).generate_state(1)[0])
        written = generate(host, rows, replace(how, seed=drawn), interventions=interventions)
        replies += [reply.text for reply in written]
    named = [OTHER if outcome is None else outcome for outcome in map(classify, replies)]
    known: tuple[str, ...] = tuple(getattr(classify, "outcomes", ()))
    outcomes = tuple(name for name in dict.fromkeys((*known, *sorted(set(named)))) if name != OTHER) + (OTHER,)
    counts = np.zeros((len(prompts), len(outcomes)), np.int64)
    for place, outcome in enumerate(named):
        counts[place // n, outcomes.index(outcome)] += 1
    return Sampled(outcomes, counts, tuple(tuple(replies[p * n : (p + 1) * n]) for p in range(len(prompts))))


def _chunks(rows: Sequence[str | Tokens]) -> Iterator[Sequence[str | Tokens]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]
