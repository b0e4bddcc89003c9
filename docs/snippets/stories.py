import thymos
from thymos.texts import StoryPlan, topics, write_stories

vocabulary = thymos.EMOTIONS.subset(["calm", "desperate"])
OPENINGS = ("Marta", "The clerk", "Old Pires", "Ines", "The driver", "Tomas", "A neighbour", "Rui")


# --8<-- [start:writer]
def writer(prompts, seeds):
    """Any function of this shape writes: here it stands for a model or an endpoint."""
    return [
        f"[story 1]\n{OPENINGS[seed % 8]} counted {seed % 997} steps, then {seed % 89} more, and went on. " * 4
        for _prompt, seed in zip(prompts, seeds, strict=True)
    ]


plan = StoryPlan(per_cell=1, min_words=20, seed=3)
done = write_stories(writer, vocabulary, topics()[:3], plan, "written.jsonl")
print(done.texts, "texts kept;", dict(done.rejected), "rejected")
# --8<-- [end:writer]
