import numpy as np

import thymos
from thymos.steering import dose_of

vectors = thymos.EmotionVectors.load("vectors/minilm")

calm, desperate = vectors["calm"], vectors["desperate"]
push = 0.05 * calm - 0.02 * desperate
print(push.recipe)  # 0.05*calm - 0.02*desperate: every vector knows how it was made
print(dose_of(calm * 0.05).total)  # 0.05 of the mean residual norm, at the chosen layer

axis = calm.contrast(desperate)  # unit difference of the two directions
only_calm = calm.without(desperate)  # the part that is orthogonal to the other
assert abs(only_calm.cosine(desperate)) < 1e-5
assert np.allclose((calm - calm).values[calm.layer], 0.0)

two_layers = (calm * 0.05).at(2, 3)  # named layers are the ones steered
print(dose_of(two_layers).per_layer, dose_of(two_layers).total)
