import thymos
from thymos.models import tiny_model
from thymos.readings import read_stream
from thymos.texts import battery_texts, neutral_dialogues

model = tiny_model()  # a random network: the shapes are real, the content is not
stories = [text for text in battery_texts() if text.emotion in ("calm", "angry", "proud")][:18]
options = thymos.ExtractOptions(first_token=20, max_tokens=120, validate=False)
vectors = thymos.extract(model, stories, neutral_dialogues()[:8], options)

# --8<-- [start:chat]
chat = [
    {"role": "user", "content": "The build has been red since Monday."},
    {"role": "assistant", "content": "Then let us look at the first failing step."},
]
reading = thymos.read(model, vectors, chat)
print(reading.by_role())  # one row per role, one column per concept
print(reading.by_turn())
# --8<-- [end:chat]

# --8<-- [start:stream]
sampling = thymos.Sampling(max_new_tokens=8)
for event in read_stream(model, vectors, "What failed first?", sampling):
    print(event.index, repr(event.text), event.scores.shape)  # [layers, concepts]
# --8<-- [end:stream]
