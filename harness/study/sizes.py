"""Memory that settings need, roughly and from below: what no machine holds is refused before it is allocated."""

from collections.abc import Iterator, Mapping
from math import exp
from typing import Any

from harness.errors import tell_lack
from harness.settings import Settings
from harness.study.document import Mark
from harness.study.layers import Layer, list_leaves

FLOAT, DOUBLE = 4, 8  # bytes
COPIES = 4  # of a weight: itself, its gradient and Adam's two moments
WIDE = 2048  # features per stream of a folder, whose size is known only once it is read
CLASSES = 20
Part = tuple[float, tuple[str, ...]]  # bytes, and the settings that they grow with
KNOBS = "source.knobs."


def check_memory(state: Layer, settings: Settings, errors: list[str]) -> None:
    """Refuse a row that needs more memory than this machine has, at the setting that asks for most."""
    for needed, paths in estimate_parts(settings):
        if lack := tell_lack(needed):
            path = max(paths, key=lambda path: measure_growth(path, settings))
            errors.append(f"{locate(state, path)}: {path}: {get_value(settings, path)!r} needs {lack}")
            return


def estimate_parts(settings: Settings) -> Iterator[Part]:
    """The large arrays of a run: generated data, weights, activations of a batch, test scores, fine positions."""
    case, training, source = settings.case, settings.training, settings.source
    knobs = read_knobs(settings)
    M, T, K, H = len(source.streams), training.snippets, case.clusters, case.width
    D, C, test = knobs["dimension"], knobs["classes"], knobs["test_videos"]
    if source.name == "synthetic":
        yield from estimate_data(knobs, M)
    kernel = getattr(case.options, "kernel", 1)
    weights = M * H * (D * kernel + K + C)
    yield COPIES * FLOAT * weights, ("case.width", "case.options.kernel", "case.clusters", f"{KNOBS}dimension")
    batch = training.batch * T * M * (D + H + C + 3 * K)
    yield FLOAT * batch, ("training.batch", "training.snippets", "case.clusters", "case.width")
    yield FLOAT * test * M * T * (C + K + 2), ("training.snippets", "case.clusters", f"{KNOBS}test_videos")
    yield DOUBLE * T * settings.localization.upsampling, ("localization.upsampling", "training.snippets")


def estimate_data(knobs: Mapping[str, Any], M: int) -> Iterator[Part]:
    """The embedded data set: codes, one video while it is made, and the features of all."""
    codes = 2 * knobs["classes"] + knobs["sub_actions"] + knobs["situations"] + knobs["venues"] + knobs["dimension"]
    names = ("classes", "code_dimension", "dimension", "sub_actions", "situations", "venues")
    yield DOUBLE * M * codes * knobs["code_dimension"], tuple(KNOBS + name for name in names)
    count = min(knobs["instances_most"], knobs["instances_median"] * grow(knobs["instances_sigma"]))
    seconds = count * knobs["duration_median"] * grow(knobs["duration_class_sigma"]) / knobs["foreground"]
    length = max(seconds / knobs["snippet_seconds"], count)
    names = ("duration_median", "instances_median", "instances_most", "snippet_seconds", "foreground", "dimension")
    paths = tuple(KNOBS + name for name in (*names, "duration_class_sigma", "instances_sigma"))
    one = length * max(knobs["dimension"], knobs["code_dimension"], knobs["classes"] + knobs["sub_actions"])
    yield DOUBLE * one, (*paths, f"{KNOBS}classes", f"{KNOBS}sub_actions", f"{KNOBS}code_dimension")
    videos = knobs["train_videos"] + knobs["test_videos"]
    whole = videos * (M * length * knobs["dimension"] + knobs["classes"])
    yield FLOAT * whole, (f"{KNOBS}train_videos", f"{KNOBS}test_videos", *paths, f"{KNOBS}classes")


def grow(sigma: float) -> float:
    """Mean over median of a log-normal number."""
    return exp(min(sigma**2 / 2, 100.0))


def read_knobs(settings: Settings) -> Mapping[str, Any]:
    """The generator's constants; those of a folder's data stand for what only its files know."""
    from dataclasses import asdict

    from harness.data.knobs import SCALES

    own = asdict(SCALES[settings.source.scale])
    if settings.source.name != "synthetic":
        return own | {"dimension": WIDE, "classes": CLASSES}
    given = {name: value for name, value in settings.source.knobs.items() if is_number(value) and name in own}
    return own | given


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def measure_growth(path: str, settings: Settings) -> float:
    """How many times its default a setting is; one below its default counts by the inverse."""
    value, usual = get_value(settings, path), get_default(path, settings)
    if not value or not usual:
        return 0.0
    return float(max(value / usual, usual / value)) if path.endswith(("_seconds", "foreground")) else value / usual


def get_value(settings: Settings, path: str) -> Any:
    """The setting at a dotted path, knobs as they stand after replacement."""
    if path.startswith(KNOBS):
        return read_knobs(settings)[path.removeprefix(KNOBS)]
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def get_default(path: str, settings: Settings) -> Any:
    if path.startswith(KNOBS):
        return get_value(Settings(), path)
    leaf = list_leaves(settings.case.baseline).get(path)
    return leaf.default if leaf else None


def locate(state: Layer, path: str) -> Mark:
    """Where a setting was given."""
    parent, _, name = path.rpartition(".")
    if path in state:
        return state[path].mark
    return state[parent].at([name]).mark if parent in state else state["case.baseline"].mark
