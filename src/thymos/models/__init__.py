"""The only package that touches transformers: load, capture, intervene, generate, chat."""

from thymos.models.capture import (
    Padded,
    Span,
    capture,
    forward,
    pad,
    plan_batches,
    rows,
    text_means,
)
from thymos.models.chat import Message, PlainDialogueWarning, chat_tokens, render, reply_slot
from thymos.models.corpus import CapturedBatch, capture_corpus
from thymos.models.fake import TINY_ARCHITECTURES, byte_tokenizer, tiny_model, tiny_network
from thymos.models.generate import Generation, Observer, Sampling, chat, generate, stream
from thymos.models.host import Host, parse_layers
from thymos.models.intervene import Add, Cap, Intervention, ProjectOut, intervene
from thymos.models.layout import LAYOUTS, Layout
from thymos.models.load import PACKAGED, load
from thymos.models.model import Model
from thymos.models.probe import Probe
from thymos.models.selfcheck import SelfCheck, self_check
from thymos.models.streaming import TokenEvent
from thymos.models.tokens import CONTENT, DEFAULT_BATCH_TOKENS, EVERYWHERE, RoleSpan, Select, Tokens, truncate

__all__ = [
    "CONTENT",
    "DEFAULT_BATCH_TOKENS",
    "EVERYWHERE",
    "LAYOUTS",
    "PACKAGED",
    "TINY_ARCHITECTURES",
    "Add",
    "Cap",
    "CapturedBatch",
    "Generation",
    "Host",
    "Intervention",
    "Layout",
    "Message",
    "Model",
    "Observer",
    "Padded",
    "PlainDialogueWarning",
    "Probe",
    "ProjectOut",
    "RoleSpan",
    "Sampling",
    "Select",
    "SelfCheck",
    "Span",
    "TokenEvent",
    "Tokens",
    "byte_tokenizer",
    "capture",
    "capture_corpus",
    "chat",
    "chat_tokens",
    "forward",
    "generate",
    "intervene",
    "load",
    "pad",
    "parse_layers",
    "plan_batches",
    "render",
    "reply_slot",
    "rows",
    "self_check",
    "stream",
    "text_means",
    "tiny_model",
    "tiny_network",
    "truncate",
]
