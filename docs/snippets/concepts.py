from thymos import EMOTIONS
from thymos.concepts import resolve
from thymos.errors import UnknownConceptError

print(len(EMOTIONS), EMOTIONS.words[:3])
print(len(EMOTIONS.clusters), "clusters;", len(EMOTIONS.with_norms()), "words with human norms")

calm = EMOTIONS["calm"]
print(calm.forms)  # the word, its forms and near-synonyms: what a story about it must not contain
print(EMOTIONS["angry"].norms)  # pleasure, arousal, dominance and their source

pair = resolve("calm, desperate")  # how every command and option reads concepts
assert pair.words == ("calm", "desperate")

try:
    EMOTIONS["desparate"]
except UnknownConceptError as err:
    print(err)  # ... did you mean 'desperate'?
