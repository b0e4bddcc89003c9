"""Validation, geometry, comparison and the report."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import RenderableType

from thymos.cli.evidence import Comparison, Mapping, Page, Validating
from thymos.cli.jobs.common import host_of, neutral_of, vectors_of, vocabulary_of, with_quality
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.show import emit, mark_rows, marks_table, note, pairs, table
from thymos.cli.options import ModelOptions, Output
from thymos.concepts import Vocabulary
from thymos.errors import ArtifactError, UsageError
from thymos.figures import Caption, cluster_map, save
from thymos.geometry import GeometryMap, SetSimilarity, compare_vector_sets, map_geometry, umap_layout
from thymos.models import Host
from thymos.readings import Reading, Reference, calibrate, read
from thymos.reports import Report, marks_of, write_report
from thymos.texts import own_wording
from thymos.validation import Validation, ValidationSettings, validate_vectors
from thymos.vectors import EmotionVectors, TextMeans
from thymos.workflows import DEMO_TEXTS, run_folder

__all__ = ["compare", "geometry", "report", "validate"]

_MOST_ROWS = 20


def validate(validating: Validating, options: ModelOptions, output: Output) -> None:
    """Validate a vector set and print its marks and its recall at every layer."""
    vectors = vectors_of(validating.vectors, validating.model)
    run = validating.run or run_folder(validating.vectors)
    if not run.is_dir():
        raise ArtifactError(f"no run folder at {run}; name the one that `thymos extract` left with --run")
    vocabulary = vocabulary_of(validating.concepts)
    host = host_of(validating.model, options, output)
    vectors.check_model(host, allow_mismatch=validating.allow_mismatch)
    with Meter(output) as meter:
        meter.working("validating")
        found = _validated(host, vectors, run, vocabulary, validating.seed)
    if validating.save:
        with_quality(vectors, found, choose_layer=True).save(validating.vectors)
    marks = marks_of(found, None)
    result = {
        "vectors": validating.vectors,
        "model": host.name,
        "layer": found.layer,
        "marks": mark_rows(marks),
        "quality": found.to_dict(),
        "saved": validating.save,
    }
    emit(output, result, marks_table(marks), _sweep(found))


def _validated(host: Host, vectors: EmotionVectors, run: Path, vocabulary: Vocabulary, seed: int) -> Validation:
    """`thymos.workflows.validate` for a model that has been checked, or let pass, already."""
    means = TextMeans(run, vectors.layers, vectors.concepts, vectors.card.model.hidden_size)
    return validate_vectors(means, vectors, host=host, vocabulary=vocabulary, settings=ValidationSettings(seed=seed))


def _sweep(found: Validation) -> RenderableType:
    rows = [
        (layer, str(held), "chosen" if layer == found.layer else "")
        for layer, held in zip(found.sweep.layers, found.sweep.curve, strict=True)
    ]
    return table("Top-1 recall on unseen topics", ("layer", "recall", ""), rows)


def geometry(mapping: Mapping, output: Output) -> None:
    """Map a vector set and print axes, clusters and nearest pairs."""
    vectors = EmotionVectors.load(mapping.vectors)
    vocabulary = vocabulary_of(mapping.concepts)
    with Meter(output) as meter:
        meter.working("mapping")
        found = map_geometry(vectors, vocabulary, seed=mapping.seed)
    if mapping.umap is not None:
        _draw_umap(vectors, vocabulary, mapping, output)
    marks, near = marks_of(None, found), _pairs_by_cosine(found)
    result = {
        "vectors": mapping.vectors,
        **dict.fromkeys(("rated_concepts", "pleasure", "arousal", "layer_similarity")),
        **found.to_dict(),
        "marks": mark_rows(marks),
        "nearest": near[:_MOST_ROWS],
        "farthest": near[::-1][:_MOST_ROWS],
        "umap": mapping.umap,
    }
    shown = [
        (pair["first"], pair["second"], f"{pair['cosine']:+.3f}") for pair in [*near[:6], *near[-6:][-len(near) + 6 :]]
    ]
    views: list[RenderableType] = [marks_table(marks)] if marks else []
    explained = ", ".join(f"{share:.0%}" for share in found.pca.explained[:5])
    about = {"layer": found.layer, "concepts": len(found.concepts), "variance of PC1, PC2, ...": explained}
    if not marks:
        note(output, "fewer than 8 concepts have human norms, so axes are not compared with them")
    emit(
        output,
        result,
        *views,
        pairs("Geometry", about),
        table("Clusters", ("k", "silhouette", "adjusted Rand", "p", "members"), _clusters(found)),
        table("Nearest and farthest pairs", ("concept", "concept", "cosine"), shown),
    )


def _clusters(found: GeometryMap) -> list[tuple[object, ...]]:
    return [
        (c.k, c.silhouette, c.rand, c.p, "; ".join(", ".join(group[:6]) for group in c.members(found.concepts)))
        for c in found.clusterings
    ]


def _pairs_by_cosine(found: GeometryMap) -> list[dict[str, Any]]:
    rows, columns = np.triu_indices(len(found.concepts), 1)
    values = found.cosines[rows, columns]
    return [
        {
            "first": found.concepts[rows[place]],
            "second": found.concepts[columns[place]],
            "cosine": float(values[place]),
        }
        for place in np.argsort(-values, kind="stable")
    ]


def _draw_umap(vectors: EmotionVectors, vocabulary: Vocabulary, mapping: Mapping, output: Output) -> None:
    neighbours = min(15, len(vectors) - 1)
    layout = umap_layout(vectors.directions(), neighbours=neighbours, seed=mapping.seed)
    known = set(vocabulary.words)
    clusters = [(vocabulary[word].cluster if word in known else None) or "no cluster" for word in vectors.concepts]
    frame = pd.DataFrame({"concept": vectors.concepts, "x": layout[:, 0], "y": layout[:, 1], "cluster": clusters})
    caption = Caption(
        question="Which concepts lie near each other?",
        answer="An illustration: distances between far points mean nothing.",
        mark="One point is one direction",
        n=f"{len(vectors)} concepts, layer {vectors.layer}",
    )
    chart = cluster_map(frame, caption=caption, method=f"UMAP, {neighbours} neighbours", seed=mapping.seed)
    place = mapping.umap
    if place is not None:
        save(chart, place)
        note(output, f"UMAP view: {place}")


def compare(comparison: Comparison, output: Output) -> None:
    """Print two cards side by side, and how alike the sets are."""
    places = (comparison.first, comparison.second)
    for place in places:
        if (place / "config.json").is_file() and not (place / "card.json").is_file():
            raise UsageError(f"{place} is a model; compare takes vector sets: run `thymos extract {place}` first")
    first, second = (EmotionVectors.load(place) for place in places)
    shared = [concept for concept in first.concepts if concept in second]
    if not shared:
        raise UsageError(f"{places[0]} and {places[1]} share no concept; there is nothing to compare")
    alike = _alike(first, second, comparison.seed, output)
    same = first.card.model.fingerprint == second.card.model.fingerprint
    layer = first.layer if same and first.layer in second.layers else None
    cosines = {c: first[c].cosine(second[c], layer) for c in shared} if layer is not None else None
    result = {
        "first": {"vectors": places[0], **first.summary()},
        "second": {"vectors": places[1], **second.summary()},
        "same_model": same,
        "shared": shared,
        "similarity": _similarity(alike),
        "layer": layer,
        "cosines": cosines,
    }
    cards = zip(first.summary().items(), second.summary().values(), strict=True)
    views = [table("Cards", ("", str(places[0]), str(places[1])), [(key, one, two) for (key, one), two in cards])]
    if alike is not None:
        views.append(pairs(f"Geometry over {len(shared)} shared concepts", _told(alike)))
    if cosines is not None:
        ordered = sorted(cosines.items(), key=lambda item: item[1])
        title = f"Cosine of the same concept in both, layer {layer}, lowest first"
        views.append(table(title, ("concept", "cosine"), [(c, f"{v:+.4f}") for c, v in ordered[:_MOST_ROWS]]))
    emit(output, result, *views)


def _alike(first: EmotionVectors, second: EmotionVectors, seed: int, output: Output) -> SetSimilarity | None:
    """Similarity of the geometries; with few shared concepts it, or its interval, is undefined: a note says so."""
    try:
        return compare_vector_sets(first, second, seed=seed)
    except UsageError as err:
        note(output, f"the geometries are not compared: {err}")
        return None


def _similarity(alike: SetSimilarity | None) -> dict[str, Any] | None:
    if alike is None:
        return None
    held = alike.pearson
    return {
        "pearson": held.estimate,
        "low": held.low,
        "high": held.high,
        "p": alike.p,
        "cka": alike.cka,
        "p_cka": alike.p_cka,
        "cosine": alike.cosine,
    }


def _told(alike: SetSimilarity) -> dict[str, object]:
    return {
        "correlation of cosine matrices": f"{alike.pearson}, permutation p = {alike.p:.2g}",
        "centred kernel alignment": f"{alike.cka:.3f}, permutation p = {alike.p_cka:.2g}",
    }


def report(page: Page, options: ModelOptions, output: Output) -> None:
    """Write the report: validation where a run folder is there, geometry, readings of new texts."""
    vectors = vectors_of(page.vectors, page.model)
    vocabulary = vocabulary_of(page.concepts)
    run = page.run or run_folder(page.vectors)
    if page.run is not None and not run.is_dir():
        raise ArtifactError(f"no run folder at {run}; name the one that `thymos extract` left with --run")
    host = host_of(page.model, options, output)
    vectors.check_model(host, allow_mismatch=page.allow_mismatch)
    found: Validation | None = None
    readings: tuple[Reading, ...] = ()
    reference: Reference | None = None
    with Meter(output) as meter:
        if run.is_dir():
            meter.working("validating")
            found = _validated(host, vectors, run, vocabulary, page.seed)
        else:
            note(output, f"no run folder at {run}, so the report has no validation")
        meter.working("mapping")
        mapped = map_geometry(vectors, vocabulary, seed=page.seed)
        if page.readings:
            meter.working("reading new texts")
            reference, readings = _readings(host, vectors, page)
        write_report(page.out, Report(vectors, found, mapped, readings, reference))
    marks = marks_of(found, mapped)
    result = {"report": page.out, "vectors": page.vectors, "model": host.name, "marks": mark_rows(marks)}
    views = [marks_table(marks)] if marks else []
    emit(output, result, *views, pairs("Done", {"report": page.out}))


def _readings(host: Host, vectors: EmotionVectors, page: Page) -> tuple[Reference, tuple[Reading, ...]]:
    own = own_wording(host)
    reference = calibrate(host, vectors, neutral_of(None, host), "neutral texts" if own else "neutral dialogues")
    texts = page.text or list(own.texts if own is not None and own.texts else DEMO_TEXTS)
    return reference, tuple(
        read(host, vectors, text, reference=reference, allow_mismatch=page.allow_mismatch) for text in texts
    )
