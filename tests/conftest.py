"""Where the recorded numbers lie: ``pytest --reference DIR`` (default ../shared/reference beside the repository)."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reference", metavar="DIR", default=None, help="folder of recorded numbers (../shared/reference)"
    )


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--reference")
    if given is not None and not Path(given).is_dir():
        raise pytest.UsageError(f"--reference {given}: there is no such folder")


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
        pytest.skip(ABSENT)
    return found
