import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this working tree."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(place), str(ROOT)]
    subprocess.run(command, check=True)
    (built,) = place.glob("thymos-*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    source = ROOT / "src"
    ours = {
        path.relative_to(source).as_posix()
        for path in (source / "thymos").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == ours
    data = {Path(name).suffix for name in packed}
    assert {".jsonl", ".json", ".jinja", ".typed", ".py"} <= data


@pytest.mark.slow
def test_an_installed_wheel_runs_without_the_working_tree(wheel: Path, tmp_path: Path) -> None:
    """Dependencies are borrowed from the running environment by path; thymos itself is only in the new one."""
    home = tmp_path / "fresh"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    (packages,) = (home / "lib").glob("python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")

    def say(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"HF_HUB_OFFLINE": "1"})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    where = say(str(python), "-c", "import thymos; print(thymos.__file__, thymos.__version__)").split()
    assert Path(where[0]).is_relative_to(packages)
    assert where[1] in say(str(home / "bin" / "thymos"), "--version")
    data = (
        "import thymos; from thymos.texts import battery, topics; "
        "print(len(battery()), len(topics()), len(thymos.EMOTIONS))"
    )
    assert say(str(python), "-c", data) == "288 100 171"
    page = (
        "from thymos.figures import token_heatmap_html as heat; import numpy as np; "
        "print('calm' in heat(['a', ' day'], np.array([0.1, 0.2]), title='t', concept='calm', unit='cosine'))"
    )
    assert say(str(python), "-c", page) == "True"
