from pathlib import Path

import thymos
from thymos.texts import Text, audit, neutral_dialogues

# --8<-- [start:file]
Path("team.json").write_text(
    """[
  {"word": "appreciative", "lemmas": ["appreciate", "appreciated", "appreciation"], "synonyms": ["thankful"]},
  {"word": "fair", "lemmas": ["fairly", "fairness"], "synonyms": ["just", "even-handed"], "cluster": "Virtue"},
  {"word": "resilient", "lemmas": ["resilience"], "cluster": "Virtue",
   "norms": {"pleasure": 0.4, "arousal": 0.2, "dominance": 0.5, "source": "our own ratings, n = 12"},
   "prompts": ["One character takes three setbacks in a row and goes on, within {topic}."]}
]"""
)
team = thymos.load_concepts("team.json")
print(team.words, team["fair"].forms)
# --8<-- [end:file]

SCENES = {
    "appreciative": "She kept the note he had left with the soup, and told everyone on the ward who had written it",
    "fair": "He weighed both parts on the same scale, read out the numbers, and let the other one choose first",
    "resilient": "The third crate broke as well. He swept up the glass, drew a new plan and started over at noon",
}

# --8<-- [start:extract]
topics = ("a kitchen", "a harbour", "an office", "a school")
stories = [
    Text(f"In {topic}: {scene}. Nobody else in {topic} had expected it.", emotion=word, topic=topic)
    for word, scene in SCENES.items()
    for topic in topics
]
print(audit(stories, team))  # leaks of the words themselves, lengths, repeated openings

model = thymos.load("minilm")
options = thymos.ExtractOptions(concepts="team.json", first_token=5, layers="2/3", validate=False)
vectors = thymos.extract(model, stories, neutral_dialogues()[:20], options)
assert vectors.concepts == ("appreciative", "fair", "resilient")
# --8<-- [end:extract]
