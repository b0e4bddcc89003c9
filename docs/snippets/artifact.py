from pathlib import Path

import thymos
from thymos.errors import FingerprintMismatchError
from thymos.models import tiny_model
from thymos.vectors.export import export

# --8<-- [start:load]
model = thymos.load("minilm")
vectors = thymos.EmotionVectors.load("vectors/minilm", model)  # refuses another model
print(vectors.card.model.id, vectors.card.model.fingerprint[:12])
print(vectors.directions(3).shape, vectors.at(3).raw.shape, vectors.at(3).norm)
vectors.save("vectors/copy")
# --8<-- [end:load]

# --8<-- [start:mismatch]
try:
    thymos.read(tiny_model(), vectors, "Any text.")
except FingerprintMismatchError as err:
    print(err)
# --8<-- [end:mismatch]

# --8<-- [start:export]
export(vectors, Path("calm.npz"), "npz", concept="calm")
export(vectors, Path("all.pt"), "pt")  # plain tensors and lists; thymos never reads .pt
export(vectors, Path("calm.gguf"), "gguf", concept="calm")  # llama.cpp; extra `gguf`
# --8<-- [end:export]
