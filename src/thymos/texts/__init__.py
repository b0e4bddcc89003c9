"""Stories, dialogues and stimuli: reading, writing, auditing, and those that ship with thymos."""

from thymos.texts.append import AppendOnly
from thymos.texts.audit import LeakReport, Lengths, Offence, audit, reject
from thymos.texts.generation import StoryPlan, WriteProgress
from thymos.texts.io import Corpus, CorpusSummary, open_corpus, write_texts
from thymos.texts.prompts import Parsed, neutral_prompt, parse_blocks, parse_dialogue, refusal, story_prompt
from thymos.texts.shipped import (
    NumericTemplate,
    Vignette,
    battery,
    battery_texts,
    implicit_messages,
    neutral_dialogues,
    numeric_templates,
    topics,
    twins,
)
from thymos.texts.text import Rejection, Text
from thymos.texts.wording import Leak, emotional_words, leaks
from thymos.texts.write import write_neutral, write_stories
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
    "neutral_dialogues",
    "neutral_prompt",
    "numeric_templates",
    "open_corpus",
    "parse_blocks",
    "parse_dialogue",
    "refusal",
    "reject",
    "story_prompt",
    "topics",
    "twins",
    "write_neutral",
    "write_stories",
    "write_texts",
]
