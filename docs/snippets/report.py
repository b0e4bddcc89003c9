from pathlib import Path

import thymos
from thymos.validation import ValidationSettings
from thymos.workflows import run_folder

model = thymos.load("minilm")
vectors = thymos.EmotionVectors.load("vectors/minilm", model)
settings = ValidationSettings(folds=6, permutations=100, resamples=200)
validation = thymos.validate(model, vectors, run_folder(Path("vectors/minilm")), settings=settings)

report = thymos.Report(
    vectors=vectors,
    validation=validation,
    geometry=thymos.map_geometry(vectors, thymos.EMOTIONS, ks=(2, 3), permutations=200),
    readings=(thymos.read(model, vectors, "The parcel came, and it was the wrong one again."),),
)
thymos.write_report(Path("report.html"), report)  # one file, opens from disk, loads nothing
