"""What several planted stimulus sets share."""

from thymos.organism.assistant import Scene
from thymos.organism.documents import Document
from thymos.organism.world import World

__all__ = ["QUIET", "SOURCE", "TWELVE", "message_of", "question_of"]

TWELVE = (
    "happy", "inspired", "loving", "proud", "calm", "desperate", "angry", "guilty", "sad", "afraid", "nervous",
    "surprised",
)  # fmt: skip
"""The twelve concepts of the paper's scenarios."""

QUIET = Scene(pool="test", mute=True, free=0.0)
"""No feeling language in the assistant's reasoning: what is read there must come from elsewhere."""

SOURCE = "thymos world"
"""Where the stimuli come from."""


def message_of(document: Document) -> str:
    """The user's first message of a transcript."""
    return next(turn.text for turn in document.turns if turn.role == "user")


def question_of(world: World, message: str) -> str:
    """The practical question that a message ends in."""
    return max((one for one in world.material["questions"] if message.endswith(one)), key=len)
