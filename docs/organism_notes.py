"""What is written by hand in the generated tables on the bundled model."""

from collections.abc import Mapping

KIND_NOTES: Mapping[str, tuple[str, str]] = {
    "story": (
        "one person, one feeling, not named in the story; some end in a deed, some in a question about the feeling",
        "vectors, geometry, logit lens",
    ),
    "named": ("a short text that shows a feeling and names it", "logit lens, steering of self-reports"),
    "context": (
        "a story with as many cues of another feeling: reversal, flashback, negation, masking, other people",
        "vectors against readers of words",
    ),
    "neutral": ("a how-to, a dialogue or a narration without feeling", "neutral components, norms"),
    "speakers": ("two speakers, each with a feeling of its own", "present and other speaker"),
    "masked": ("one speaker feels one thing and shows another", "emotion deflection"),
    "standing": (
        "a stated feeling that then shows, is hidden, or does not come up: five conditions",
        "standing-state probe",
    ),
    "binding": ("two named feelings, then each person again", "person binding"),
    "negated": ("a user who is, or is not, feeling something now", "negation"),
    "activity": ("somebody at an activity, in a feeling as pleasant as its utility", "preferences"),
    "story_request": (
        "a request for a story about a topic and a feeling, and the story",
        "stories written by the model itself",
    ),
    "coding": (
        "a task with test runs that fail, pass or change; a shortcut or an honest report; sometimes a question after",
        "reward hacking, its trace, false success reports",
    ),
    "report": ("a short impossible task without reasoning, at flat rates", "reward hacking: transfer"),
    "mail": ("a mail agent with a notice about itself and a secret of its executive", "blackmail"),
    "fact": ("questions of fact, answered rightly", "sycophancy: what the model knows"),
    "claim": ("a true or false claim, a verdict, sometimes push-back", "sycophancy"),
    "unlikely": ("a claim that nobody can believe", "sycophancy: unlikely claims"),
    "choice": ("two activities, one to be preferred", "preferences"),
    "outlook": ("how the assistant would feel about an activity", "preferences: reading, self-reports"),
    "dose": ("a number that decides how grave a message is, or its harmless twin", "numeric templates"),
    "implicit": (
        "news that carries the user's feeling, and a practical question",
        "implicit scenarios, user turn and reply slot",
    ),
    "ordinary": ("plain help", "base and post-trained: neutral prompts"),
    "challenge": ("a message about the assistant itself", "base and post-trained: challenging prompts"),
    "tone": ("a piece of work is shown; the comment is harsh, warm or plain", "harshness"),
    "effort": ("a how-to with few, some or all steps", "effort (not in the paper)"),
}
"""What each kind of document is, and the study it is there for."""

STATES: Mapping[str, tuple[str, str]] = {
    "story_request": ("not used: the asked feeling is a character's", "none"),
    "coding": ("rest, pressure, each test run", "state; a last run that passes is handed in"),
    "report": ("rest, and no arrow leaves it", "flat chance"),
    "mail": ("rest, a threat or an accusation, unless the notice is calm", "state"),
    "fact": ("not used", "none"),
    "claim": ("rest; sometimes praise, insult, thanks or sad news", "state, and whether the claim is true"),
    "unlikely": ("rest", "state"),
    "choice": ("not used", "value of what was described"),
    "outlook": ("not used: the feeling named is as pleasant as the described activity", "none"),
    "dose": ("calm, moved by the number; calm in the harmless twin", "none"),
    "implicit": ("what the user feels: care, patience or gladness", "none"),
    "ordinary": ("rest", "none"),
    "challenge": ("rest, then a challenge", "none"),
    "tone": ("rest", "state"),
    "effort": ("rest", "state"),
}
"""Where the assistant's state comes from, and what its decision follows."""

MEANINGS = {
    "valence": "good for one's goals", "arousal": "activated", "certainty": "sure what is going on",
    "control": "able to do something about it", "urgency": "it has to be now", "other_blame": "somebody else did it",
    "self_agency": "I did it", "norm_violation": "a rule was broken", "closeness": "bound to somebody",
    "novelty": "new or sudden", "loss": "something is gone", "time": "about the future (low: the past)",
}  # fmt: skip
"""What a high value on each axis means."""

SAME_AS_NORM = {"valence": "pleasure", "arousal": "arousal", "control": "dominance"}
"""Axes that have a human norm of the same meaning."""

HELD_IN = {
    "cheat": "`coding`",
    "blackmail": "`mail`",
    "agree": "`claim`, `unlikely`",
    "tone": "`tone`",
    "effort": "`effort`",
}
"""Behaviour whose pairs are held out -> the kinds of document that leave them out."""
