import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
tables: ModuleType = importlib.import_module("study_tables")


@pytest.mark.parametrize("name", tables.TABLES)
def test_the_tables_of_the_studies_are_up_to_date(name: str) -> None:
    assert tables.block(name) == tables.TABLES[name], "run `python docs/study_tables.py`"
