"""Readings: tokens x layers x concepts of text, chats, files and streams; calibration; pictures."""

from thymos.readings.reader import held_out_words, read, read_corpus, read_stream
from thymos.readings.reading import Reading
from thymos.readings.reference import Reference, calibrate
from thymos.readings.score import ReadSettings, probe_of, score_tokens

__all__ = [
    "ReadSettings",
    "Reading",
    "Reference",
    "calibrate",
    "held_out_words",
    "probe_of",
    "read",
    "read_corpus",
    "read_stream",
    "score_tokens",
]
