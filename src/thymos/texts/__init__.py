"""Stories, dialogues and stimuli: reading, writing, auditing, and those that ship with thymos."""

from thymos.texts.append import AppendOnly
from thymos.texts.audit import LeakReport, Lengths, Offence, audit, reject
from thymos.texts.generation import StoryPlan, WriteProgress
from thymos.texts.io import Corpus, CorpusSummary, open_corpus, write_texts
from thymos.texts.own_wording import OwnWording, neutral_for, own_wording, topics_for
from thymos.texts.planted import planted_documents, planted_points, planted_truth
from thymos.texts.prompts import Parsed, neutral_prompt, parse_blocks, parse_dialogue, refusal, story_prompt
from thymos.texts.shipped import (
    NumericTemplate,
    Vignette,
    battery,
    battery_texts,
    implicit_messages,
    named_if_shipped,
    neutral_dialogues,
    numeric_templates,
    topics,
    twins,
)
from thymos.texts.text import Rejection, Text
from thymos.texts.wording import Leak, emotional_words, leaks
from thymos.texts.write import plan_for, write_neutral, write_stories
from thymos.texts.writers import EndpointWriter, ModelWriter, Writer

__all__ = [
    "AppendOnly",
    "Corpus",
    "CorpusSummary",
    "EndpointWriter",
    "Leak",
    "LeakReport",
    "Lengths",
    "ModelWriter",
    "NumericTemplate",
    "Offence",
    "OwnWording",
    "Parsed",
    "Rejection",
    "StoryPlan",
    "Text",
    "Vignette",
    "WriteProgress",
    "Writer",
    "audit",
    "battery",
    "battery_texts",
    "emotional_words",
    "implicit_messages",
    "leaks",
    "named_if_shipped",
    "neutral_dialogues",
    "neutral_for",
    "neutral_prompt",
    "numeric_templates",
    "open_corpus",
    "own_wording",
    "parse_blocks",
    "parse_dialogue",
    "plan_for",
    "planted_documents",
    "planted_points",
    "planted_truth",
    "refusal",
    "reject",
    "story_prompt",
    "topics",
    "topics_for",
    "twins",
    "write_neutral",
    "write_stories",
    "write_texts",
]
