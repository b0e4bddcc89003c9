from pathlib import Path

import thymos
from thymos.models import tiny_model
from thymos.texts import battery_texts, neutral_dialogues
from thymos.workflows import estimate_cost, run_folder

# --8<-- [start:options]
model = tiny_model("llama")
stories = [text for text in battery_texts() if text.emotion in ("calm", "angry")][:12]
stories += [text for text in battery_texts() if text.emotion == "proud"][:6]
neutral = neutral_dialogues()[:8]

options = thymos.ExtractOptions(
    out=Path("vectors/tiny"),
    layers="all",
    first_token=20,
    max_tokens=200,
    batch_tokens=2048,
    validate=False,
)
# --8<-- [end:options]

# --8<-- [start:cost]
cost = estimate_cost(model, stories, neutral, options)
print(f"{cost.texts} texts, {cost.tokens} tokens, about {cost.seconds:.1f} s")
print(f"{cost.scatter_bytes / 2**20:.1f} MiB of neutral matrices, sketched: {cost.sketched}")
# --8<-- [end:cost]

# --8<-- [start:run]
vectors = thymos.extract(model, stories, neutral, options)
print(sorted(file.name for file in Path("vectors/tiny").iterdir()))
print("run state:", run_folder(Path("vectors/tiny")))  # checkpoints and per-text means, beside the set
# --8<-- [end:run]
