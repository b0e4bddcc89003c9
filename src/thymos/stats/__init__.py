"""Statistics on plain arrays: intervals, permutation nulls, control directions, ratings, dose-response fits."""

from thymos.stats.association import Correlation, auroc, correlation, macro_auroc, partial_correlation
from thymos.stats.directions import directions_in_span, random_directions
from thymos.stats.dose_response import DoseResponse, dose_response
from thymos.stats.intervals import Interval, bootstrap, bootstrap_items, paired_bootstrap, wilson
from thymos.stats.multiplicity import benjamini_hochberg, holm
from thymos.stats.permutation import (
    MaxStatisticResult,
    PermutationResult,
    max_statistic_permutation,
    permutation_test,
)
from thymos.stats.preference import Ratings, average_orders, bradley_terry, position_bias
from thymos.stats.single_case import single_case_p

__all__ = [
    "Correlation",
    "DoseResponse",
    "Interval",
    "MaxStatisticResult",
    "PermutationResult",
    "Ratings",
    "auroc",
    "average_orders",
    "benjamini_hochberg",
    "bootstrap",
    "bootstrap_items",
    "bradley_terry",
    "correlation",
    "directions_in_span",
    "dose_response",
    "holm",
    "macro_auroc",
    "max_statistic_permutation",
    "paired_bootstrap",
    "partial_correlation",
    "permutation_test",
    "position_bias",
    "random_directions",
    "single_case_p",
    "wilson",
]
