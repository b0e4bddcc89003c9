from pathlib import Path

import thymos
from thymos.validation import ValidationSettings
from thymos.workflows import run_folder

model = thymos.load("minilm")
vectors = thymos.EmotionVectors.load("vectors/minilm", model)

settings = ValidationSettings(folds=6, permutations=200, resamples=500)
found = thymos.validate(model, vectors, run_folder(Path("vectors/minilm")), settings=settings)

print(found.recall)  # at the chosen layer
print(found.sweep)  # the layer chosen on some topics, scored on others
print(found.baseline)  # the better of two readers that see words only
print("difference to it:", found.difference)
print("length alone:", found.length.top1)
print(found.stability)
assert found.lens is None  # an encoder has no unembedding
