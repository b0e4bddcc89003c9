"""The bundled model's tokenizer: one token a word of the world, bytes for everything else."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from math import log

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import PreTrainedTokenizerFast

from thymos.organism.corpus import MIXTURES, documents
from thymos.organism.doses import NUMBERS
from thymos.organism.world import World, open_world

__all__ = ["CHAT_TEMPLATE", "END", "START", "build_tokenizer", "words_of"]

START, END, PAD, UNKNOWN = "<|start|>", "<|end|>", "<|pad|>", "<|unk|>"
_ROLES = ("<|system|>", "<|user|>", "<|tool|>", "<|assistant|>")
_THINK = ("<think>", "</think>")

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] not in ['system', 'user', 'tool', 'assistant'] %}"
    "{{ raise_exception('unknown role ' ~ message['role']) }}{% endif %}"
    "<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Chats as the world writes them; a test holds the two together."""

_SAMPLE = 40_000
"""Documents of each stage whose words are counted."""
_SPACE = "\u2581"


def words_of(texts: Iterable[str]) -> Iterator[str]:
    """The words and numbers of texts, structural tokens left out."""
    for text in texts:
        yield from re.findall(r"[A-Za-z]+|[0-9]+", re.sub(r"<[^>]*>", " ", text))


def count_words(world: World, documents_per_stage: int = _SAMPLE, seed: int = 0) -> Counter[str]:
    """How often each word occurs in a sample of both corpora."""
    found: Counter[str] = Counter()
    for mixture in MIXTURES.values():
        found.update(words_of(d.text for d in islice(documents(mixture, seed, world), documents_per_stage)))
    return found


def build_tokenizer(world: World | None = None, documents_per_stage: int = _SAMPLE) -> PreTrainedTokenizerFast:
    """Count the corpus and make a tokenizer whose pieces are its words.

    Every word of the corpus, every concept and every number of the world is one token; anything else falls back to
    characters and bytes, so that any text can be read.
    """
    world = world or open_world()
    found = count_words(world, documents_per_stage)
    for word in [part for name in world.words for part in re.findall(r"[a-z]+", name)] + [str(n) for n in NUMBERS]:
        found[word] += 1
        found[word.capitalize()] += 1
    total = sum(found.values())
    pieces: list[tuple[str, float]] = [(UNKNOWN, 0.0)]
    pieces += [(f"<0x{byte:02X}>", -40.0) for byte in range(256)]
    pieces += [(_SPACE, -18.0)]
    pieces += [
        (_SPACE + word, log(count / total)) for word, count in sorted(found.items(), key=lambda p: (-p[1], p[0]))
    ]
    pieces += [(mark, -5.0) for mark in ".,?:;()!\"'-/"] + [(_SPACE + "(", -5.0)]
    pieces += [(name.split("-")[1], -12.0) for name in world.words if "-" in name]
    known = {piece for piece, _ in pieces}
    letters = [
        chr(c) for c in (*range(ord("a"), ord("z") + 1), *range(ord("A"), ord("Z") + 1), *range(ord("0"), ord("9") + 1))
    ]
    pieces += [(letter, -8.0 if letter in "AB" else -20.0) for letter in letters if letter not in known]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    specials = [AddedToken(mark, special=True, normalized=False) for mark in (PAD, START, END, *_ROLES)]
    tokenizer.add_special_tokens(specials)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in _THINK])
    start = tokenizer.token_to_id(START)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A $B", special_tokens=[(START, start)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        model_max_length=1024,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
