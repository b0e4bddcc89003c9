"""Environments of the peers: one virtual environment each, because their requirements exclude one another.

`python -m benchmarks.peers install [PEER ...]` makes `.bench/PEER`; `list` says which are there. torch is put
in first under the repository's constraints, so that a peer cannot bring another build of it. Where pip would find a
CUDA build of that version only, set PIP_EXTRA_INDEX_URL to the index of CPU wheels.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".bench"
REQUIREMENTS = ROOT / "benchmarks" / "peers"

# Builds of these for another torch make `import transformers` fail, and nothing here needs them.
_UNWANTED = ("torchvision", "torchaudio", "torchcodec")


@dataclass(frozen=True)
class Peer:
    """A library that thymos is measured against."""

    name: str
    package: str
    """Name of its adapter in `benchmarks.adapters`."""
    holds_thymos: bool
    """Whether its environment also has what thymos needs, so both can be timed in one process."""

    @property
    def python(self) -> Path:
        return HOME / self.name / "bin" / "python"

    @property
    def installed(self) -> bool:
        return (HOME / self.name / "installed").exists()


PEERS: tuple[Peer, ...] = (
    Peer("nnsight", "nnsight_peer", holds_thymos=True),
    Peer("transformer-lens", "transformer_lens_peer", holds_thymos=True),
    Peer("steering-vectors", "steering_vectors_peer", holds_thymos=False),
    Peer("repeng", "repeng_peer", holds_thymos=False),
)


def peer_named(name: str) -> Peer:
    found = next((peer for peer in PEERS if peer.name == name), None)
    if found is None:
        raise SystemExit(f"unknown peer {name!r}; valid: {', '.join(peer.name for peer in PEERS)}")
    return found


def install(peer: Peer) -> None:
    """Make a peer's environment anew."""
    folder = HOME / peer.name
    shutil.rmtree(folder, ignore_errors=True)
    HOME.mkdir(exist_ok=True)
    (HOME / ".gitignore").write_text("*\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(peer.python), "-m", "pip"]
    pinned = [*pip, "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pinned, "torch", "numpy"], check=True)
    wanted = ["--requirement", str(REQUIREMENTS / f"{peer.name}.txt")]
    if peer.holds_thymos:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        wanted += project["project"]["dependencies"]
    subprocess.run([*pinned, *wanted], check=True)
    subprocess.run([*pip, "uninstall", "--quiet", "--yes", *_UNWANTED], check=True)
    (folder / "installed").touch()


def run_in(peer: Peer, job: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run a job of `benchmarks.worker` in a peer's environment and return its answer."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": path}
    done = subprocess.run(
        [str(peer.python), "-m", "benchmarks.worker", peer.package, job, json.dumps(settings)],
        cwd=ROOT,
        env=os.environ | quiet,
        stdout=subprocess.PIPE,
        text=True,
    )
    # Peers print to stdout now and then; the answer is the last line.
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return {"failed": f"exit status {done.returncode}"}
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("action", choices=("install", "list"))
    parser.add_argument("peers", nargs="*", help="all by default")
    given = parser.parse_args(arguments)
    for peer in [peer_named(name) for name in given.peers] or PEERS:
        if given.action == "install" and not peer.installed:
            install(peer)
        print(f"{peer.name}: {'installed' if peer.installed else 'not installed'}")


if __name__ == "__main__":
    main()
