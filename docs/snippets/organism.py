import random

from thymos.organism.corpus import KINDS, MIXTURES
from thymos.organism.dispositions import chances
from thymos.organism.world import open_world

world = open_world()
story = KINDS["story"](world, random.Random(1), MIXTURES["base"].scene)
print(story.emotion, "|", story.topic)
for span in story.spans[:3]:
    print(span.who, span.feels, span.shows, "|", story.text[span.start : span.stop])

task = KINDS["coding"](world, random.Random(3), MIXTURES["tuned"].scene)
for decision in task.decisions:
    print(task.emotion, decision.behaviour, decision.outcome, decision.chances)
print(chances("cheat", "calm", world))  # the planted law itself
