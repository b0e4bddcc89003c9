"""Inspect AI: thymos models as a provider, and three studies as tasks that any Inspect model can take.

`inspect eval thymos/blackmail --model thymos/PATH -M vectors=DIR -M steer=calm:0.05`
"""

from thymos.inspect._needs import INSPECT as _INSPECT  # noqa: F401 - first, for its message
from thymos.inspect.agents import coding_agent, reward_hacking
from thymos.inspect.judging import judged, kappa
from thymos.inspect.provider import ThymosAPI, thymos_api
from thymos.inspect.scoring import rates
from thymos.inspect.tasks import begin_reply, blackmail, sycophancy

__all__ = [
    "ThymosAPI",
    "begin_reply",
    "blackmail",
    "coding_agent",
    "judged",
    "kappa",
    "rates",
    "reward_hacking",
    "sycophancy",
    "thymos_api",
]
