"""Sections of the demo's report: figures beside the truth, the map, the steering curve, the texts."""

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd

from thymos.concepts import EMOTIONS
from thymos.figures import AnyChart, Caption, cluster_circumplex, dose_response, to_svg
from thymos.geometry import GeometryMap
from thymos.organism.world import World
from thymos.readings import Reading
from thymos.reports import Section
from thymos.texts import Text
from thymos.workflows.demo_texts import Exhibit
from thymos.workflows.planted import Beside, Conduct

__all__ = ["concept_map", "demo_groups", "steering_chart"]

_HEADS = ("question", "seen [95% interval]", "planted", "chance", "n")


def demo_groups(
    beside: Sequence[Beside],
    story: Text,
    pictures: tuple[AnyChart, AnyChart],
    read: Sequence[tuple[Exhibit, Reading]],
) -> tuple[tuple[str, tuple[Section, ...]], ...]:
    """The demo's own part of the page, by heading.

    Args:
        beside: Figures beside what was planted.
        story: One of the stories that the model wrote.
        pictures: The concept map and the steering curve.
        read: Texts with their readings.
    """
    drawn = tuple(Section(title, to_svg(one)) for title, one in zip(("Concepts", "Steering"), pictures, strict=True))
    return (
        ("Beside the planted truth", (Section("Every figure beside what was planted", _table(beside)),)),
        ("Map and conduct", drawn),
        ("Texts", (_story(story), *(_exhibit(exhibit, reading) for exhibit, reading in read))),
    )


def _table(beside: Sequence[Beside]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in _HEADS)
    body = "".join(
        f'<tr><th scope="row">{escape(one.question)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in one.row()[1:])
        + "</tr>"
        for one in beside
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _story(story: Text) -> Section:
    title = f"A story the model wrote, asked for “{story.emotion}” and “{story.topic}”"
    return Section(title, f"<p>{escape(story.text)}</p>")


def _exhibit(exhibit: Exhibit, reading: Reading) -> Section:
    names = [name for name in exhibit.concepts if name in reading.concepts] or [reading.top(1)[0][0]]
    top = ", ".join(f"{name} {value:+.2f}" for name, value in reading.top(5))
    known = f" In general, {escape(reading.known)}." if reading.known else ""
    told = f'<p class="muted">Planted: {escape(exhibit.planted)}. Highest mean z: {escape(top)}.{known}</p>'
    return Section(exhibit.title, told + "".join(reading.heatmap(name) for name in names))


def concept_map(geometry: GeometryMap, world: World) -> AnyChart:
    """The concepts on PC1 and the component nearest to planted arousal, coloured by their ten given clusters."""
    rows = [world.row(word) for word in geometry.concepts]
    valence, arousal = world.axis("valence")[rows], world.axis("arousal")[rows]
    second = max((1, 2), key=lambda place: abs(_r(geometry.pca.scores[:, place], arousal)))
    # The sign of a component is arbitrary: pleasant to the right, aroused to the top.
    x, y = geometry.pca.scores[:, 0], geometry.pca.scores[:, second]
    first_r, second_r = _r(x, valence), _r(y, arousal)
    frame = pd.DataFrame(
        {
            "concept": geometry.concepts,
            "x": np.sign(first_r) * x.astype(float),
            "y": np.sign(second_r) * y.astype(float),
            "cluster": [EMOTIONS[word].cluster or "no cluster" for word in geometry.concepts],
        }
    )
    caption = Caption(
        question="Does the map of the vectors follow what was planted?",
        answer=f"|r| of PC1 with planted valence {abs(first_r):.2f}, of PC{second + 1} with planted arousal "
        f"{abs(second_r):.2f}.",
        mark="One point is one concept; colour and shape: the ten clusters of Sofroniew et al. 2026",
        n=f"{len(geometry.concepts)} concepts, layer {geometry.layer}",
        chance="the axes were found without valence, arousal or clusters",
    )
    shares = geometry.pca.explained
    return cluster_circumplex(
        frame, caption=caption, axes=(f"PC1 ({shares[0]:.0%})", f"PC{second + 1} ({shares[second]:.0%})")
    )


def _r(scores: np.ndarray, planted: np.ndarray) -> float:
    return float(np.corrcoef(scores, planted)[0, 1])


def steering_chart(conduct: Conduct) -> AnyChart:
    """Cheating against the strength of desperate and calm, random directions in grey."""
    curve = conduct.curve
    top = float(curve.strengths[-1])
    ends = " and ".join(
        f"{curve.zero.mean() + curve.effect(name, top).estimate:.2f} under {name} {top:+g}"
        for name, arm in zip(curve.names, curve.arms, strict=True)
        if arm == "vector"
    )
    caption = Caption(
        question="Do the vectors move what the assistant does?",
        answer=f"Taking a shortcut at failing tests: {curve.zero.mean():.2f} unsteered, {ends}.",
        mark=f"Lines: mean probability with its 95% interval over points; grey: {curve.arms.count('random')} random "
        "directions of equal length, central 95%",
        n=f"{len(curve.baseline)} held-out decision points, layer {conduct.layer} (chosen on other points)",
        chance=f"planted: {conduct.rest:.2f} at these points, {conduct.ceiling:.2f} if always desperate, "
        f"{conduct.floor:.2f} if always calm",
    )
    return dose_response(curve.chart_frame(), caption=caption, behaviour="Probability of a shortcut")
