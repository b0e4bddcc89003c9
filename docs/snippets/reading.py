import thymos
from thymos.texts import neutral_dialogues, open_corpus

model = thymos.load("minilm")
vectors = thymos.EmotionVectors.load("vectors/minilm", model)
text = "The last bus left an hour ago. Nobody at the party had noticed that she was still outside."

# --8<-- [start:raw]
reading = thymos.read(model, vectors, text)
print(reading.top(3))  # mean cosine over the content tokens
print(reading.of("lonely").shape, reading.token_strings[:6])
frame = reading.to_frame()  # position, token, role, special, layer, concept, score
# --8<-- [end:raw]

# --8<-- [start:calibrated]
calm_texts = open_corpus(neutral_dialogues()[:40])
reference = thymos.calibrate(model, vectors, calm_texts, "neutral dialogues")
z = reading.calibrated(reference)  # z-scores against that set
print(z.unit, z.top(3))
print("smallest p:", float(reading.p_values(reference).min()))
# --8<-- [end:calibrated]

# --8<-- [start:settings]
every_layer = thymos.ReadSettings(layers=vectors.layers, concepts=("lonely", "calm"), centred=True)
deep = thymos.read(model, vectors, text, settings=every_layer)
assert deep.scores.shape == (len(deep), len(vectors.layers), 2)
# --8<-- [end:settings]

# --8<-- [start:pictures]
reading.to_html("reading.html", concept="lonely")  # standalone page
chart = reading.timeline(["lonely", "calm"])  # an Altair chart
# --8<-- [end:pictures]
