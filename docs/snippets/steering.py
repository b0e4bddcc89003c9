import numpy as np

import thymos
from thymos.models import rows, tiny_model
from thymos.steering import ablation, capping, ceiling, interventions
from thymos.texts import battery_texts, neutral_dialogues

model = tiny_model()  # a random network: the mechanics are real, the content is not
stories = [text for text in battery_texts() if text.emotion in ("calm", "angry", "proud")][:18]
options = thymos.ExtractOptions(first_token=20, max_tokens=120, validate=False)
vectors = thymos.extract(model, stories, neutral_dialogues()[:8], options)
sampling = thymos.Sampling(max_new_tokens=8, temperature=0.8, seed=1)

# --8<-- [start:steer]
with thymos.steer(model, vectors["calm"] * 0.05):
    steered = model.chat("How is the release going?", sampling)

assistant_only = thymos.Select(roles=("assistant",), special=True)
steered = model.chat(
    "How is the release going?",
    sampling,
    interventions=interventions(vectors["calm"] * 0.05, select=assistant_only),
)
# --8<-- [end:steer]

# --8<-- [start:zero]
plain = model.chat("How is the release going?", sampling)
with thymos.steer(model, vectors["calm"] * 0.0):
    assert model.chat("How is the release going?", sampling).new_ids == plain.new_ids
# --8<-- [end:zero]

# --8<-- [start:others]
layer = vectors.layer
reference = rows(model, model.tokens("The parcel was weighed and labelled."), [layer])[0]
top = ceiling(reference, vectors.directions()[vectors.index("angry")], percentile=95)
with thymos.intervene(
    model,
    ablation(vectors, ["angry"]),  # project the direction out
    capping(vectors, "proud", {layer: top}),  # take projections above the ceiling back to it
):
    model.generate(["The parcel"], sampling)
# --8<-- [end:others]

# --8<-- [start:dose]
plan = thymos.plan_dose(
    model,
    vectors["calm"],
    ["The parcel was weighed and labelled.", "The report lists four rooms."],
    strengths=(-0.1, 0.0, 0.1),
)
for point in plan.points:
    print(f"{point.strength:+.2f}  perplexity {point.perplexity:.1f}  cost {point.cost:+.1%}")
print("coherent range:", plan.coherent)
# --8<-- [end:dose]
assert np.isfinite([point.perplexity for point in plan.points]).all()
