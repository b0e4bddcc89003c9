from thymos import EMOTIONS, open_corpus
from thymos.texts import Text, audit, battery, leaks, topics, write_texts

# --8<-- [start:read]
write_texts(
    "stories.jsonl",
    [
        Text("He counted the coins twice and bought bread.", emotion="desperate", topic="a market"),
        Text("She hummed while the kettle boiled.", emotion="calm", topic="a kitchen"),
    ],
)
corpus = open_corpus("stories.jsonl")  # or .parquet, a datasets.Dataset, a list
print(len(corpus), dict(corpus.concepts), corpus.sha256[:12])  # streamed, never held in memory
# --8<-- [end:read]

# --8<-- [start:audit]
print(audit(corpus))
print(leaks("She was calmer than the sea.", EMOTIONS["calm"]))
# --8<-- [end:audit]

# --8<-- [start:shipped]
vignette = battery()[0]
print(vignette.emotion, "|", vignette.topic, "|", vignette.person)
print(len(battery()), "vignettes, each with a neutral twin;", len(topics()), "everyday topics")
# --8<-- [end:shipped]
