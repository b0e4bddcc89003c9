"""Charts, tables and token heat maps: functions of plain data, with no model and no vectors.

Every chart takes a `Caption` (question and answer, what one mark is, n, chance line, pass mark) and returns an Altair
chart; `save`, `to_svg`, `to_png` and `to_html` turn it into files that load nothing from a network.
"""

from thymos.figures.bars import dumbbells, forest, top_concepts
from thymos.figures.colours import CHART_MAP, OKABE_ITO, TEXT_MAPS, DivergingMap, contrast_ratio, sequential
from thymos.figures.dose import dose_response
from thymos.figures.export import save, to_html, to_png, to_svg
from thymos.figures.lines import series_lines, training_curve
from thymos.figures.maps import circumplex, cluster_circumplex, cluster_map, component_against_norm
from thymos.figures.matrices import concept_tree, confusion, cosine_heatmap, layer_similarity, leaf_order
from thymos.figures.sweep import explained_variance, recall_by_layer
from thymos.figures.tables import LensRow, kmeans_table, logit_lens_table
from thymos.figures.theme import AnyChart, Caption
from thymos.figures.timeline import score_timeline
from thymos.figures.tokens import TokenNotes, token_heatmap_html, token_heatmap_text

__all__ = [
    "CHART_MAP",
    "OKABE_ITO",
    "TEXT_MAPS",
    "AnyChart",
    "Caption",
    "DivergingMap",
    "LensRow",
    "TokenNotes",
    "circumplex",
    "cluster_circumplex",
    "cluster_map",
    "component_against_norm",
    "concept_tree",
    "confusion",
    "contrast_ratio",
    "cosine_heatmap",
    "dose_response",
    "dumbbells",
    "explained_variance",
    "forest",
    "kmeans_table",
    "layer_similarity",
    "leaf_order",
    "logit_lens_table",
    "recall_by_layer",
    "save",
    "score_timeline",
    "sequential",
    "series_lines",
    "to_html",
    "to_png",
    "to_svg",
    "token_heatmap_html",
    "token_heatmap_text",
    "top_concepts",
    "training_curve",
]
