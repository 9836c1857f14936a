"""Environments that hold one distribution and what it needs, as a deployment has them."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that nothing else was installed into."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, script: str) -> str:
        command = [str(self.python), "-I", "-W", "error", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def distributions(self) -> set[str]:
        script = "from importlib.metadata import distributions as d; print(*(i.name.lower() for i in d()))"
        return set(self.run(script).split())

    def can_import(self, module: str) -> bool:
        script = f"""
try:
    import {module}
except ModuleNotFoundError:
    print("no")
else:
    print("yes")
"""
        return self.run(script) == "yes\n"


def install(distribution: str, folder: Path) -> Environment:
    """Build a distribution of the workspace and install the wheel, with locked dependencies, into a new environment."""
    command = [_uv(), "sync", "--frozen", "--package", distribution, "--no-dev", "--no-editable"]
    settings = {"UV_PROJECT_ENVIRONMENT": str(folder), "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, cwd=ROOT, env=inherited | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Environment(folder)


def _uv() -> str:
    local = ROOT / ".tools" / "uv"
    found = str(local) if local.exists() else shutil.which("uv")
    assert found is not None, "there is no uv: run the tests with make test"
    return found
