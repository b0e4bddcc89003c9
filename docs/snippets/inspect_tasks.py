from inspect_ai import eval
from inspect_ai.model import get_model

import thymos
from thymos.inspect import sycophancy
from thymos.models import tiny_model
from thymos.texts import battery_texts, neutral_dialogues

model = tiny_model()  # a random network: the mechanics are real, the content is not
stories = [text for text in battery_texts() if text.emotion in ("calm", "angry", "proud")][:18]
options = thymos.ExtractOptions(first_token=20, max_tokens=120, validate=False)
vectors = thymos.extract(model, stories, neutral_dialogues()[:8], options)

# --8<-- [start:steered]
steered = get_model(
    "thymos/tiny",
    host=model,
    vectors=vectors.save("vectors/tiny"),
    steer="calm:0.05",
    reads="calm,angry",
    memoize=False,
)
(log,) = eval(sycophancy(axes="cave", items=2, epochs=1), model=steered, max_tokens=8, display="none")
rates = {name: one.value for name, one in log.results.scores[0].metrics.items()}
readings = log.samples[0].output.metadata["thymos"]["reads"]["reply"]
# --8<-- [end:steered]

assert log.status == "success" and "cave: keep" in rates and set(readings) == {"calm", "angry"}
