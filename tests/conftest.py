"""Where the recorded numbers lie: ``pytest --reference DIR --recordings DIR`` (default ../shared/... beside it)."""

from pathlib import Path

import pytest

pytest_plugins = ["support.mirrored"]  # fixtures
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    for name in ("reference", "recordings"):
        text = f"folder of recorded numbers (../shared/{name})"
        parser.addoption(f"--{name}", metavar="DIR", default=None, help=text)


def pytest_configure(config: pytest.Config) -> None:
    for name in ("reference", "recordings"):
        given = config.getoption(f"--{name}")
        if given is not None and not Path(given).is_dir():
            raise pytest.UsageError(f"--{name} {given}: there is no such folder")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ../shared beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared is absent beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def reference(request: pytest.FixtureRequest) -> Path:
    """The folder of recorded numbers."""
    from support.reference import ABSENT, folder

    found = folder(request.config)
    if found is None:
        pytest.skip(ABSENT.format("reference"))
    return found
