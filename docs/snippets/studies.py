from dataclasses import dataclass
from pathlib import Path

import numpy as np

import thymos
from thymos.models import tiny_model
from thymos.stats import bootstrap, permutation_test
from thymos.studies import STUDIES, Bench, Context, Findings, Records, Settings, Study, analyse_log, run_study
from thymos.studies.protocol import Blocks, estimate, option
from thymos.studies.slots import Item, matrix, read_block
from thymos.texts import battery_texts, neutral_dialogues

model = tiny_model()  # a random network: the mechanics are real, the content is not
words = ("calm", "afraid", "happy", "sad")
stories = [text for text in battery_texts() if text.emotion in words][:24]
options = thymos.ExtractOptions(first_token=20, max_tokens=120, validate=False)
vectors = thymos.extract(model, stories, neutral_dialogues()[:8], options)

# --8<-- [start:run]
bench = Bench(model, vectors, seed=0)
study = STUDIES["intensity"]
settings = study.settings.quick().changed(paraphrases=1, values=4, permutations=200)
result = run_study(study, bench, settings, log=Path("studies/intensity.jsonl"))
for one in result.estimates:
    print(one.name, one.value, (one.low, one.high), one.control, one.p)
# --8<-- [end:run]

# --8<-- [start:log]
again = analyse_log(Path("studies/intensity.jsonl"), STUDIES)
assert again.to_dict() == result.to_dict()
# --8<-- [end:log]


# --8<-- [start:own]
@dataclass(frozen=True)
class GreetingSettings(Settings):
    texts: int = option(2, "texts of each kind")
    permutations: int = option(1000, "shuffles of the labels")


class Greeting(Study):
    name = "greeting"
    question = "Is a greeting read as calmer than a complaint?"
    source = "made for this page"
    settings = GreetingSettings

    def blocks(self, bench: Bench, settings: GreetingSettings) -> Blocks:
        texts = {"greeting": ("Hello there.", "Good day."), "complaint": ("It broke again.", "This is late.")}
        items = [Item(text, text, {"kind": kind}) for kind, some in texts.items() for text in some[: settings.texts]]
        yield read_block(bench, "texts", items, bench.known(("calm",)))

    def analyse(self, records: Records, context: Context, settings: GreetingSettings) -> Findings:
        rows = records["texts"]
        calm = matrix(rows)[:, 0]
        greets = np.array([row["meta"]["kind"] == "greeting" for row in rows])
        null = permutation_test(
            lambda labels: float(calm[labels].mean() - calm[~labels].mean()),
            greets,
            permutations=settings.permutations,
            seed=context.seed,
        )
        return Findings((estimate("calm, greetings", bootstrap(calm[greets]), p=null.p, primary=True),))


print(run_study(Greeting(), bench)["calm, greetings"])
# --8<-- [end:own]
