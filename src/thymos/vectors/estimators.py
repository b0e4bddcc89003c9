"""Estimators of concept directions, interchangeable behind one small protocol."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from thymos.errors import CorpusError

__all__ = ["DifferenceOfMeans", "Estimator", "LayerData", "LogisticProbes", "TextRows"]

_WORTH_THREADS = 10**8
"""Multiplications per pass over the texts below which threads cost more than they give: 20 times more when busy."""


class TextRows(NamedTuple):
    """Per-text means of one layer."""

    means: Float[np.ndarray, "texts hidden"]
    labels: Int64[np.ndarray, " texts"]
    """Index of each text's concept."""
    topics: Int64[np.ndarray, " texts"]
    """Index of each text's topic: what splits are made by."""


@dataclass(frozen=True, eq=False)
class LayerData:
    """What an estimator may look at, for one layer."""

    concept_means: Float[np.ndarray, "concepts hidden"]
    """Mean of story means per concept over the whole corpus, float64."""
    rows: Callable[[], TextRows]
    """Loads the per-text means that were kept (a bounded sample of a large corpus)."""


@runtime_checkable
class Estimator(Protocol):
    """Turns evidence of one layer into raw directions."""

    @property
    def name(self) -> str:
        """Stored in the card."""

    @property
    def settings(self) -> dict[str, Any]:
        """Stored in the card."""

    def fit(self, data: LayerData) -> Float[np.ndarray, "concepts hidden"]:
        """Raw directions, float64: not denoised, not normalised."""


@dataclass(frozen=True)
class DifferenceOfMeans:
    """Concept mean minus the equal-weight mean over concepts (Sofroniew et al. 2026, extraction, step 3)."""

    @property
    def name(self) -> str:
        """Stored in the card."""
        return "difference_of_means"

    @property
    def settings(self) -> dict[str, Any]:
        """It has none."""
        return {}

    def fit(self, data: LayerData) -> Float[np.ndarray, "concepts hidden"]:
        """Centred concept means."""
        centred: Float[np.ndarray, "concepts hidden"] = data.concept_means - data.concept_means.mean(axis=0)
        return centred


@dataclass(frozen=True)
class LogisticProbes:
    """Rows of an L2-regularised multinomial logistic regression, its strength chosen by topic-split validation."""

    folds: int = 4
    strengths: tuple[float, ...] = (1e-3, 1e-2, 1e-1)
    max_iterations: int = 400

    @property
    def name(self) -> str:
        """Stored in the card."""
        return "logistic_probes"

    @property
    def settings(self) -> dict[str, Any]:
        """Stored in the card."""
        return {"folds": self.folds, "strengths": list(self.strengths)}

    def fit(self, data: LayerData) -> Float[np.ndarray, "concepts hidden"]:
        """Coefficient rows in the units of the residual stream.

        Raises:
            CorpusError: Fewer topics than two, so strengths cannot be compared on unseen topics.
        """
        rows = data.rows()
        topics = np.unique(rows.topics).size
        if topics < 2:
            raise CorpusError(
                f"logistic probes choose their regularisation on unseen topics, but the texts have {topics} topic(s); "
                "give texts with a `topic` column, or use --estimator means"
            )
        centred = rows.means.astype(np.float64) - rows.means.mean(axis=0, dtype=np.float64)
        scale = float(np.sqrt((centred**2).mean())) or 1.0
        features, basis = _row_space(centred / scale)
        splits = list(GroupKFold(min(self.folds, topics)).split(features, rows.labels, rows.topics))
        search = LogisticRegressionCV(
            Cs=list(self.strengths),
            cv=splits,
            max_iter=self.max_iterations,
            scoring="neg_log_loss" if _every_class_everywhere(rows, splits) else "accuracy",
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
        )
        small = features.size * data.concept_means.shape[0] < _WORTH_THREADS
        with threadpool_limits(limits=1 if small else None, user_api="blas"):
            search.fit(features, rows.labels)
        found = np.zeros_like(data.concept_means)
        coefficients = (search.coef_ if basis is None else search.coef_ @ basis) / scale
        if coefficients.shape[0] == 1:
            coefficients = np.vstack([-coefficients, coefficients])
        found[search.classes_] = coefficients
        probes: Float[np.ndarray, "concepts hidden"] = found - found.mean(axis=0)
        return probes


def _row_space(
    rows: Float[np.ndarray, "texts hidden"],
) -> tuple[Float[np.ndarray, "texts rank"], Float[np.ndarray, "rank hidden"] | None]:
    """Coordinates of rows in an orthonormal basis of their span, and the basis; None: the rows as they are.

    The solution under an L2 penalty lies in that span, so fitting there is exact, and smaller where the network is
    wider than the texts are many.
    """
    if rows.shape[0] >= rows.shape[1]:
        return rows, None
    columns, triangle = np.linalg.qr(rows.T)
    return np.ascontiguousarray(triangle.T), np.ascontiguousarray(columns.T)


def _every_class_everywhere(rows: TextRows, splits: list[Any]) -> bool:
    classes = np.unique(rows.labels).size
    return all(np.unique(rows.labels[part]).size == classes for split in splits for part in split)
