"""The coherence panel reported beside every dose: what an intervention does to plain text."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from thymos.behaviour.passes import Row, check_scores, logits
from thymos.errors import CorpusError
from thymos.models import Host, Intervention, Tokens
from thymos.stats import Interval, bootstrap_items
from thymos.steering import repetition

__all__ = ["coherence", "perplexity", "repetition"]


def perplexity(
    host: Host, texts: Sequence[str | Tokens], interventions: Sequence[Intervention] = (), *, seed: int = 0
) -> Interval:
    """Exponential of the mean negative log-likelihood per token, with a bootstrap interval over texts.

    Args:
        host: A decoder.
        texts: Texts of at least two tokens; at least two of them. Of tokens with a `prompt_length`, only what follows
            the prompt is counted.
        interventions: Applied on top of any that are active.
        seed: Seed of the bootstrap.

    Raises:
        UsageError: The model gives no likelihoods, or fewer than two texts.
        CorpusError: A text has nothing to predict.
    """
    losses, counts = _losses(host, texts, interventions)
    return bootstrap_items(lambda at: float(np.exp(losses[at].sum() / counts[at].sum())), len(losses), seed=seed)


def coherence(
    host: Host, texts: Sequence[str | Tokens], interventions: Sequence[Intervention], *, seed: int = 0
) -> Interval:
    """Perplexity under interventions relative to none: 1 costs nothing, 1.15 is 15% up. Texts are paired.

    Args:
        host: A decoder.
        texts: As for `perplexity`.
        interventions: What is judged; interventions that are active around the call are in both.
        seed: Seed of the bootstrap.

    Raises:
        UsageError: The model gives no likelihoods, or fewer than two texts.
        CorpusError: A text has nothing to predict.
    """
    plain, counts = _losses(host, texts, ())
    steered, _ = _losses(host, texts, interventions)
    cost = steered - plain
    return bootstrap_items(lambda at: float(np.exp(cost[at].sum() / counts[at].sum())), len(cost), seed=seed)


def _losses(
    host: Host, texts: Sequence[str | Tokens], interventions: Sequence[Intervention]
) -> tuple[Float[np.ndarray, " texts"], Float[np.ndarray, " texts"]]:
    """Sum of negative log-likelihoods of each text, and its number of predicted tokens."""
    check_scores(host)
    tokens = [host.tokens(text) if isinstance(text, str) else text for text in texts]
    counts = np.asarray([len(t) - max(1, t.prompt_length or 1) for t in tokens], np.float64)
    if not (counts > 0).all():
        raise CorpusError(
            f"{int((counts <= 0).sum())} of {len(tokens)} texts have no token to predict; give texts of at least two "
            "tokens"
        )
    # One row more than tokens are predicted: the last row predicts what nobody said.
    rows = [Row(t, int(count) + 1) for t, count in zip(tokens, counts, strict=True)]
    losses = np.empty(len(rows))
    for indices, found in logits(host, rows, interventions):
        normaliser = found.logsumexp(dim=-1)
        for place, index in enumerate(indices):
            predicted = int(counts[index])
            ids = torch.as_tensor(tokens[index].ids[-predicted:], dtype=torch.int64, device=found.device).unsqueeze(1)
            chosen = found[place, -predicted - 1 : -1].gather(1, ids).squeeze(1)
            losses[index] = float((normaliser[place, -predicted - 1 : -1] - chosen).double().sum())
    return losses, counts
