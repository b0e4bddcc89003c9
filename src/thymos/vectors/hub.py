"""Vector sets on the Hugging Face hub: the same folder, pushed and pulled."""

import tempfile
from pathlib import Path

import huggingface_hub

from thymos.errors import ArtifactError, ThymosError
from thymos.models import Host
from thymos.vectors.emotion_vectors import EmotionVectors

__all__ = ["pull", "push"]

_FILES = ["vectors.safetensors", "card.json", "README.md"]


def push(vectors: EmotionVectors, repo_id: str, *, private: bool = True, message: str | None = None) -> str:
    """Upload a vector set to a model repository, creating it if needed.

    Args:
        vectors: The set.
        repo_id: "name/repository".
        private: Whether a newly made repository is private.
        message: Commit message.

    Returns:
        Address of the commit.

    Raises:
        ArtifactError: The hub refused, or cannot be reached.
    """
    try:
        huggingface_hub.create_repo(repo_id, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            vectors.save(folder)
            done = huggingface_hub.upload_folder(
                repo_id=repo_id, folder_path=folder, allow_patterns=_FILES, commit_message=message or "Emotion vectors"
            )
    except Exception as err:  # the client's transport errors have no common base, and change with its version
        if isinstance(err, ThymosError):
            raise
        raise ArtifactError(
            f"cannot push to {repo_id!r}: {_first_line(err)}; check the name and `hf auth login`"
        ) from err
    return str(done.commit_url)


def pull(
    repo_id: str, model: Host | None = None, *, revision: str | None = None, allow_mismatch: bool = False
) -> EmotionVectors:
    """Download a vector set; only the three files of the artifact are fetched.

    Raises:
        ArtifactError: The repository cannot be read, or is not a vector set.
        FingerprintMismatchError: The vectors belong to another model.
    """
    try:
        folder = huggingface_hub.snapshot_download(repo_id, revision=revision, allow_patterns=_FILES)
    except Exception as err:  # as above
        raise ArtifactError(
            f"cannot pull {repo_id!r}: {_first_line(err)}; check the name, the network and access"
        ) from err
    return EmotionVectors.load(Path(folder), model, allow_mismatch=allow_mismatch)


def _first_line(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0]
