"""Goal: the wheel is all a user needs: installed into an empty environment, the command works from any directory."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECONDS_MAX = 60

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without the network."""
    out = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    An empty environment with nothing but the wheel; its scripts.

    The dependencies are lent by a `.pth` file, which lends no editable install: what is ours comes from the wheel.
    """
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True, timeout=SECONDS_MAX)
    python = home / "bin" / "python"
    words = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *words], check=True, timeout=SECONDS_MAX)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run a script of that environment in an empty directory far from the checkout."""
    environment = {"PATH": "/usr/bin:/bin", "RISKGUARD_HOME": str(tmp_path / "home"), "RISKGUARD_DB": "risk.db"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(installed / words[0]), *words[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=SECONDS_MAX, check=False,
        )  # fmt: skip

    return run


def test_rules_schema_and_data_are_inside(wheel: Path) -> None:
    """Every file of `rules/` and `schema/` lies inside the package, its data too; nothing of ours beside it."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {
        f"riskguard/{path.relative_to(ROOT)}"
        for folder in ("rules", "schema")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted |= {
        str(path.relative_to(ROOT))
        for path in (ROOT / "riskguard").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert wanted - names == set()
    assert {name.split("/")[0] for name in names} == {
        "riskguard",
        next(n.split("/")[0] for n in names if "dist-info" in n),
    }
    assert not [name for name in names if name.endswith((".pyc", ".db"))]


def test_it_is_the_wheel_that_runs(run: Run, installed: Path) -> None:
    """`import riskguard` in that environment is not this checkout."""
    done = run("python", "-c", "import riskguard; print(riskguard.__file__)")

    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)
    assert not Path(done.stdout.strip()).is_relative_to(ROOT)


def test_the_command_works_from_another_directory(run: Run, tmp_path: Path) -> None:
    """Init finds schema and rules; check, limits and db find their database; kill halts."""
    order = ("--segment", "NSE_EQ", "--security", "1333", "--side", "BUY", "--price", "1650")
    story = [
        # words                                              status  says
        (("init",),                                          0, "26 limits"),
        (("check", *order, "--qty", "10"),                   0, "APPROVED"),
        (("check", *order, "--qty", "100"),                  3, "ORDER_VALUE_ABOVE_LIMIT"),
        (("limits", "show"),                                 0, "order-value"),
        (("limits", "plan", "demo-index-futures"),           0, "digest"),
        (("db", "check"),                                    0, "all is well"),
        (("audit", "verify"),                                0, "true"),
        (("kill", "leader", "--no-wait"),                    0, "HALTED"),
        (("status",),                                        0, "HALTED"),
    ]  # fmt: skip
    for words, status, said in story:
        done = run("riskguard", *words)
        assert done.returncode == status, (words, done.stdout, done.stderr)
        assert said in done.stdout, (words, done.stdout)
        assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path / "home")) == ["armed", "gate", "halt"]
