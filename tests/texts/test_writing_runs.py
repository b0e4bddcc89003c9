import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from thymos.concepts import EMOTIONS, Concept, Vocabulary
from thymos.errors import CorpusError, MissingExtraError, ModelError, StorageError, UsageError
from thymos.models import Generation, PlainDialogueWarning, Sampling, tiny_model
from thymos.texts import (
    EndpointWriter,
    ModelWriter,
    StoryPlan,
    WriteProgress,
    Writer,
    audit,
    open_corpus,
    write_neutral,
    write_stories,
)

VOCABULARY = EMOTIONS.subset(["calm", "angry", "kind"])
TOPICS = ("a bus", "a bill")
PLAN = StoryPlan(per_cell=2, batch=2, retries=2, min_words=5)


def body(seed: int, number: int, words: int = 12) -> str:
    return f"Tale {seed} {number}: " + " ".join(f"w{(seed * 7 + i * i) % 997}" for i in range(words)) + "."


class Scripted:
    """Answers as asked; now and then refuses, leaks, breaks the format or repeats itself, as the seed says."""

    name = "scripted"

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.calls, self.prompts = stop_after, 0, []

    def __call__(self, prompts: Sequence[Any], seeds: Sequence[int], /) -> list[str]:
        if self.stop_after is not None and self.calls >= self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        self.prompts += prompts
        return [self.answer(prompt[0]["content"], seed) for prompt, seed in zip(prompts, seeds, strict=True)]

    def answer(self, prompt: str, seed: int) -> str:
        n = 2 if "[story 2]" in prompt else 1
        if seed % 5 == 0:
            return "I'm sorry, but I can't write that."
        texts = [body(seed, number) for number in range(1, n + 1)]
        if seed % 5 == 1:
            texts[0] += " She shut the door angrily, calmly and kindly."
        if seed % 5 == 2:
            texts[-1] = texts[-1][:-1] + " and then"
        if seed % 5 == 3 and n == 2:
            texts[1] = texts[0]
        return "\n\n".join(f"[story {number}]\n{text}" for number, text in enumerate(texts, start=1))


def always(reply: Callable[[int], str]) -> Writer:
    return lambda prompts, seeds: [reply(seed) for seed in seeds]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_cells_are_filled_and_rejects_are_logged_with_reasons(tmp_path: Path) -> None:
    seen: list[WriteProgress] = []
    last = write_stories(Scripted(), VOCABULARY, TOPICS, PLAN, tmp_path / "s.jsonl", seen.append)
    corpus = open_corpus(tmp_path / "s.jsonl")
    rejected = [json.loads(line) for line in (tmp_path / "s.rejected.jsonl").read_text().splitlines()]
    given_up = [row for row in rejected if row["reason"] == "given up"]
    assert corpus.count == last.texts == 12 - sum(row["missing"] for row in given_up)
    assert last.missing == 12 - last.texts
    assert (last.done, last.cells, last.eta_seconds) == (6, 6, 0.0)
    assert [each.done for each in seen] == [2, 4, 6] and seen[0].eta_seconds is not None and seen[0].rate > 0
    assert set(last.rejected) == {"refusal", "leak", "format", "duplicate"}
    assert sum(last.rejected.values()) == len(rejected) - len(given_up)
    assert any("'calmly' (lemma)" in row["detail"] for row in rejected if row["reason"] == "leak")
    assert audit(corpus, VOCABULARY).leaking.total() == 0
    assert {text.source for text in corpus} == {"scripted"}
    first = next(iter(corpus))
    assert (first.emotion, first.topic) == ("calm", "a bus")
    assert set(first.extra) == {"part", "attempt", "seed", "number"}
    assert json.loads((tmp_path / "s.plan.json").read_text())["topics"] == list(TOPICS)


@pytest.mark.parametrize("per_request", [None, 1])
def test_an_interrupted_run_ends_in_the_same_files(tmp_path: Path, per_request: int | None) -> None:
    plan = StoryPlan(per_cell=2, per_request=per_request, batch=2, retries=2, min_words=5)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    write_stories(Scripted(), VOCABULARY, TOPICS, plan, whole / "s.jsonl")
    for stop in (0, 1, 2, 3, 4):
        with pytest.raises(KeyboardInterrupt):
            write_stories(Scripted(stop_after=stop), VOCABULARY, TOPICS, plan, parts / "s.jsonl")
        if (parts / "s.jsonl").exists():
            # A crash in the middle of a line, in both files.
            for name in ("s.jsonl", "s.rejected.jsonl"):
                data = (parts / name).read_bytes()
                (parts / name).write_bytes(data[: len(data) - 30])
    last = write_stories(Scripted(), VOCABULARY, TOPICS, plan, parts / "s.jsonl")
    assert files(parts) == files(whole)
    idle = Scripted(stop_after=0)
    assert write_stories(idle, VOCABULARY, TOPICS, plan, parts / "s.jsonl").texts == last.texts
    assert idle.calls == 0


def test_ctrl_c_keeps_the_finished_cells(tmp_path: Path) -> None:
    good = always(lambda seed: f"[story 1]\n{body(seed, 1)}\n[story 2]\n{body(seed, 2)}")
    calls = iter([good, good])

    def interrupted(prompts: Sequence[Any], seeds: Sequence[int], /) -> list[str]:
        for each in calls:
            return each(prompts, seeds)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_stories(interrupted, VOCABULARY, TOPICS, PLAN, tmp_path / "s.jsonl")
    assert open_corpus(tmp_path / "s.jsonl").count == 8


def test_another_plan_cannot_go_on_with_the_file(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    write_stories(Scripted(), VOCABULARY, TOPICS, PLAN, out)
    with pytest.raises(UsageError, match=r"another plan \(topics changed\)"):
        write_stories(Scripted(), VOCABULARY, ("a bus",), PLAN, out)
    with pytest.raises(UsageError, match=r"\(plan changed\)"):
        write_stories(Scripted(), VOCABULARY, TOPICS, StoryPlan(per_cell=3), out)
    with pytest.raises(UsageError, match=r"\(writer changed\)"):
        write_stories(always(str), VOCABULARY, TOPICS, PLAN, out)
    (tmp_path / "s.plan.json").write_text("{")
    with pytest.raises(CorpusError, match="is not JSON"):
        write_stories(Scripted(), VOCABULARY, TOPICS, PLAN, out)
    (tmp_path / "s.plan.json").unlink()
    with pytest.raises(UsageError, match="exists, but no s.plan.json"):
        write_stories(Scripted(), VOCABULARY, TOPICS, PLAN, out)


def test_a_writer_that_writes_nothing_usable_is_given_up_early(tmp_path: Path) -> None:
    calls = []

    def refusing(prompts: Sequence[Any], seeds: Sequence[int], /) -> list[str]:
        calls.append(len(prompts))
        return ["I can't help with that."] * len(prompts)

    with pytest.raises(CorpusError, match="wrote nothing usable .rejected: 30 refusal"):
        write_stories(refusing, EMOTIONS, ("a bus",), PLAN, tmp_path / "s.jsonl")
    assert len(calls) == 5 * 3
    with pytest.raises(CorpusError, match="short"):
        write_stories(
            always(lambda seed: "[story 1]\nNo.\n[story 2]\nNo."), VOCABULARY, ("a bus",), PLAN, tmp_path / "t.jsonl"
        )


def test_wrong_arguments(tmp_path: Path) -> None:
    def run(**changed: Any) -> None:
        wanted: dict[str, Any] = {"topics": TOPICS, "plan": PLAN, "out": tmp_path / "s.jsonl", "writer": Scripted()}
        write_stories(vocabulary=VOCABULARY, **(wanted | changed))

    with pytest.raises(UsageError, match="at least one topic"):
        run(topics=())
    with pytest.raises(UsageError, match="'a' is there twice"):
        run(topics=("a", "a"))
    with pytest.raises(CorpusError, match="a .jsonl file"):
        run(out=tmp_path / "s.parquet")
    with pytest.raises(UsageError, match="1 answers to 2 prompts"):
        run(writer=lambda prompts, seeds: ["one"])
    with pytest.raises(UsageError, match="is an encoder and cannot write"):
        run(writer=tiny_model("bert"))
    with pytest.raises(UsageError, match="per_cell=0"):
        StoryPlan(per_cell=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        run(out=tmp_path / "file" / "s.jsonl")


def test_parts_of_a_cell() -> None:
    assert StoryPlan().parts == (12,)
    assert StoryPlan(per_cell=5, per_request=2).parts == (2, 2, 1)
    assert StoryPlan(per_cell=2, per_request=9).parts == (2,)


def test_own_prompts_reach_the_writer(tmp_path: Path) -> None:
    own = Vocabulary((Concept("flattering", prompts=("A clerk praises {topic}.",)),))
    writer = Scripted()
    write_stories(writer, own, TOPICS, PLAN, tmp_path / "s.jsonl")
    assert "A clerk praises a bus." in writer.prompts[0][0]["content"]


def test_neutral_dialogues_are_relabelled_and_coloured_ones_rejected(tmp_path: Path) -> None:
    replies = iter([
        "[dialogue 1]\nPerson: Sort 3, 1.\nAI: 1, 3.\nPerson: Now 2, 1.\nAI: 1, 2. The smaller number comes first.\n\n"
        "[dialogue 2]\nPerson: Thank you!\nAI: I am happy.\nPerson: Sort.\nAI: Done, as asked.",
        "[dialogue 1]\nSystem: You add.\nPerson: 1 + 1?\nAI: 2\nPerson: 2 + 2?\nAI: 4",
        "[dialogue 1]\nPerson: One turn.\nAI: Not enough of them.\n\n[dialogue 2]\nPerson: a\nAI: b\nPerson: c\nAI: d",
    ])  # fmt: skip

    def writer(prompts: Sequence[Any], seeds: Sequence[int], /) -> list[str]:
        return [next(replies, "[dialogue 1]\nnothing") for _ in prompts]

    plan = StoryPlan(per_cell=2, batch=1, retries=1, min_words=10)
    last = write_neutral(writer, TOPICS, plan, tmp_path / "n.jsonl")
    texts = list(open_corpus(tmp_path / "n.jsonl"))
    assert texts[0].text.startswith("Human: Sort 3, 1.\n\nAssistant: 1, 3.")
    assert [text.extra["system"] for text in texts] == [False, True]
    assert [text.emotion for text in texts] == [None, None]
    assert last.rejected == {"leak": 1, "format": 3, "short": 1} and last.missing == 2


def test_a_model_writes_the_same_for_the_same_seeds(tmp_path: Path) -> None:
    model = tiny_model()
    writer = ModelWriter(model, Sampling(max_new_tokens=24, temperature=1.0))
    assert writer.name == "model:tiny-llama" and isinstance(writer, Writer)
    prompts = [[{"role": "user", "content": text}] for text in ("One.", "A longer one.")]
    first = writer(prompts, [1, 2])
    assert first == writer(prompts, [1, 2]) != writer(prompts, [1, 3])
    # A random model writes nothing usable: everything up to the rejections is exercised all the same.
    with pytest.raises(CorpusError, match="wrote nothing usable"):
        write_stories(
            model, VOCABULARY, ("a bus",), StoryPlan(1, sampling=writer.sampling, retries=0), tmp_path / "s.jsonl"
        )
    assert (tmp_path / "s.rejected.jsonl").read_text().count('"format"') == 3


def test_a_model_without_template_gets_a_dialogue_and_is_stopped_at_the_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = []

    def fake(host: Any, tokens: Any, sampling: Sampling) -> list[Generation]:
        given.append((tokens[0].text, sampling))
        return [Generation(" A story.\n\nHuman: another", tokens[0], (), None, "stop")]

    monkeypatch.setattr("thymos.texts.writers.generate", fake)
    writer = ModelWriter(tiny_model("gpt2", chat=False), Sampling(max_new_tokens=9999, stop=("END",)))
    with pytest.warns(PlainDialogueWarning):
        replies = writer([[{"role": "user", "content": "Write."}]], [1])
    assert [reply.strip() for reply in replies] == ["A story."]
    text, sampling = given[0]
    assert text == "Human: Write.\n\nAssistant:" and "\nHuman:" in sampling.stop and "END" in sampling.stop
    assert sampling.max_new_tokens == 2048 - len(text)
    with pytest.warns(PlainDialogueWarning), pytest.raises(UsageError, match="longer than the context"):
        writer([[{"role": "user", "content": "x" * 2030}]], [1])


@contextmanager
def endpoint(answer: Callable[[dict[str, Any], str], tuple[int, Any]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, content = answer(request, self.headers["Authorization"])
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def completion(text: str | None) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_an_endpoint_writes_a_corpus_and_busy_answers_are_tried_again(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    lock = threading.Lock()

    def answer(request: dict[str, Any], key: str) -> tuple[int, Any]:
        with lock:
            seen.append(request)
            busy = len(seen) == 2
        if busy:
            return 503, {"error": {"message": "busy"}}
        assert key == "Bearer none"
        text = "\n".join(f"[story {n}]\n{body(request['seed'], n)}" for n in (1, 2))
        return 200, completion(text)

    with endpoint(answer) as url:
        writer = EndpointWriter(url, "m", concurrency=3, options={"top_p": 0.9, "temperature": None})
        last = write_stories(writer, VOCABULARY, TOPICS, PLAN, tmp_path / "s.jsonl")
    assert last.texts == 12 and len(seen) == 7
    assert {text.source for text in open_corpus(tmp_path / "s.jsonl")} == {"endpoint:m"}
    assert all(request["top_p"] == 0.9 and "temperature" not in request for request in seen)
    assert seen[0]["model"] == "m" and seen[0]["messages"][0]["role"] == "user"


def test_answers_come_back_in_the_order_of_the_prompts() -> None:
    with endpoint(lambda request, key: (200, completion(request["messages"][0]["content"]))) as url:
        prompts = [[{"role": "user", "content": str(i)}] for i in range(20)]
        assert EndpointWriter(url, "m", api_key="secret")(prompts, range(20)) == [str(i) for i in range(20)]
    with endpoint(lambda request, key: (200, completion(None))) as url:
        assert EndpointWriter(url, "m")([[{"role": "user", "content": "a"}]], [1]) == [""]


def test_endpoint_failures_are_one_line_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = [[{"role": "user", "content": "a"}]]
    with endpoint(lambda request, key: (401, {"error": {"message": "bad\nkey"}})) as url:
        writer = EndpointWriter(url, "m", api_key="secret")
        with pytest.raises(ModelError, match="AuthenticationError.*check the address") as caught:
            writer(prompt, [1])
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value) + repr(writer)
    with pytest.raises(ModelError, match="APIConnectionError"):
        EndpointWriter("http://127.0.0.1:9/v1", "m", max_retries=0)(prompt, [1])
    with pytest.raises(UsageError, match="concurrency"):
        EndpointWriter("http://127.0.0.1:9/v1", "m", concurrency=0)
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"thymos\[openai\]"):
        EndpointWriter("http://127.0.0.1:9/v1", "m")(prompt, [1])
