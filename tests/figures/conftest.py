import numpy as np
import pandas as pd
import pytest

from thymos.figures import Caption


@pytest.fixture
def caption() -> Caption:
    return Caption(
        question="Do the vectors tell held-out concepts apart?",
        answer="Yes: 61% at two thirds of the depth.",
        mark="One point is one layer",
        n="n = 1,710 stories",
        chance="chance 1/171",
        passing="pass mark 0.30",
    )


@pytest.fixture
def layers() -> pd.DataFrame:
    layer = np.arange(6)
    value = np.linspace(0.2, 0.6, 6)
    return pd.DataFrame(
        {"layer": layer, "depth": (layer + 1) / 6, "value": value, "low": value - 0.05, "high": value + 0.05}
    )
