"""The layers below a study: base preset and data set, from ``studies/base``, ``studies/data`` or beside the study."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from harness.errors import ConfigError, hint, shown
from harness.settings import Settings, Source
from harness.sources import HOME
from harness.study.building import build
from harness.study.document import Mark, Node, read
from harness.study.layers import Layer, flatten, fold
from model.settings import OPTIONS

STUDIES = HOME / "studies"
ABOUT = ("title", "notes", "base", "tuned")  # keys of a preset that are no settings below the data set's
DATA, QUICK = "synthetic", "tiny"


@dataclass(frozen=True)
class Below:
    """A data set as layers; ``missing`` says why it cannot be used where a study, not the user, asked for it."""

    label: str
    layers: tuple[Layer, ...]
    missing: str = ""
    embedded: bool = False


def names(folder: str, beside: Path | None = None) -> dict[str, Path]:
    """Presets of a kind ("base", "data") by name; those in ``studies/`` go before those beside a study."""
    places = [beside / folder, beside] if beside else []
    return {path.stem: path for place in [*places, STUDIES / folder] for path in sorted(place.glob("*.yaml"))}


def base_layers(name: str, mark: Mark, errors: list[str], beside: Path | None = None) -> tuple[Layer, ...]:
    """Layers of a base preset, inherited ones first. ``name`` may be the path of a file, e.g. a search's best.yaml."""
    return _bases(name, mark, errors, beside, ())


def tuned_layers(name: str, beside: Path | None = None) -> tuple[Layer, ...]:
    """What presets set under ``tuned``: it lies over the data set's settings (a search may tune the learning rate).

    Mistakes are told by ``base_layers``, which reads the same files.
    """
    path, out, seen = _file(name, beside), list[Layer](), set[Path]()
    while path is not None and path.is_file() and path not in seen:
        seen.add(path)
        about, _ = preset_file(path, [])
        if "tuned" in about:
            out.insert(0, flatten(about["tuned"], []))
        path = _file(str(about["base"].value), beside) if "base" in about else None
    return tuple(out)


def _file(name: str, beside: Path | None) -> Path | None:
    return Path(name) if name.endswith((".yaml", ".yml")) else named(name, beside)


def _bases(name: str, mark: Mark, errors: list[str], beside: Path | None, seen: tuple[str, ...]) -> tuple[Layer, ...]:
    path = _file(name, beside)
    if path is None or not path.is_file():
        errors.append(f"{mark}: base: unknown preset '{name}'; {hint(name, names('base'))}")
        return ()
    if name in seen:
        errors.append(f"{mark}: base: '{name}' inherits itself ({' -> '.join([*seen, name])})")
        return ()
    about, layer = preset_file(path, errors)
    if (parent := about.get("base")) is None:
        return (layer,)
    return (*_bases(str(parent.value), parent.mark, errors, beside, (*seen, name)), layer)


def named(name: str, beside: Path | None) -> Path | None:
    """The preset of this name: of the project, else beside the study."""
    own = STUDIES / "base" / f"{name}.yaml"
    near = [beside / "base" / f"{name}.yaml", beside / f"{name}.yaml"] if beside else []
    return next((path for path in [own, *near] if path.is_file()), None)


def preset_file(path: Path, errors: list[str]) -> tuple[Mapping[str, Node], Layer]:
    """What a preset says about itself, and its settings."""
    try:
        node = read(path)
    except ConfigError as error:
        errors.extend(error.errors)
        return {}, {}
    if not isinstance(node.value, dict):
        return {}, flatten(node, errors)
    about = {key: inner for key, inner in node.value.items() if key in ABOUT}
    if "tuned" in about:
        flatten(about["tuned"], errors)
    settings = {key: inner for key, inner in node.value.items() if key not in ABOUT}
    return about, flatten(replace(node, value=settings), errors)


def data_layers(name: str, mark: Mark, quick: bool, errors: list[str], root: Path, asked: bool) -> Below:
    """The data set ``name``: a file of ``studies/data``, or a folder. ``asked``: by the user, not by a study."""
    known = names("data")
    if name in known:
        below = _named(name, known[name], errors)
    elif Path(name).is_dir():
        below = _folder(Path(name), errors, root)
    else:
        errors.append(f"{mark}: '{name}' is neither a folder nor a data set; {hint(name, known)}")
        return Below(name, ())
    if asked and below.missing:
        errors.append(f"{mark}: {below.missing}")
    return _quick(below, errors) if quick else below


def _named(name: str, path: Path, errors: list[str]) -> Below:
    layer = preset_file(path, errors)[1]
    source = {key: node.value for key, node in layer.items() if key.startswith("source.")}
    if source.get("source.name") != "folder":
        scale = source.get("source.scale", "default")
        return Below(DATA if scale == "default" else f"{DATA}-{scale}", (layer,), embedded=True)
    folder = Path(str(source.get("source.path", "")))
    missing = (
        "" if folder.is_dir() else f"data set '{name}' is not here: no folder '{folder}' (source.path in {shown(path)})"
    )
    return Below(name, (layer,), missing)


def _folder(folder: Path, errors: list[str], root: Path) -> Below:
    """A folder takes its data.yaml, or the values of the data set whose features are as wide."""
    here = Mark("--data", 1, 1)
    source: Layer = {"source.name": Node("folder", here, here), "source.path": Node(str(folder), here, here)}
    label = folder.resolve().name
    if (own := folder / "data.yaml").is_file():
        return Below(label, ({**preset_file(own, errors)[1], **source},))
    from harness import data

    try:
        like = data.info(Source(name="folder", path=str(folder)), root)["like"]
    except data.DataError as error:
        errors.extend(error.errors)
        like = DATA
    return Below(label, (_scale(like, errors), source))


def _scale(name: str, errors: list[str]) -> Layer:
    """A data set's settings without its source."""
    layer = preset_file(STUDIES / "data" / f"{name}.yaml", errors)[1]
    return {path: node for path, node in layer.items() if not path.startswith("source.")}


def _quick(below: Below, errors: list[str]) -> Below:
    """The data set at tiny scale: the embedded one changes, a folder keeps its source."""
    if below.embedded:
        tiny = preset_file(STUDIES / "data" / f"{QUICK}.yaml", errors)[1]
        return Below(f"{DATA}-{QUICK}", (*below.layers, tiny), embedded=True)
    return Below(f"{below.label}-quick", (*below.layers, _scale(QUICK, errors)), below.missing)


def preset(base: str = "paper", scale: str = "default") -> Settings:
    """Settings of a base preset on the embedded data set at a scale: default, tiny or paper."""
    errors: list[str] = []
    files = {"default": DATA, "paper": "paper-scale"}
    below = data_layers(files.get(scale, scale), Mark("scale"), False, errors, Path("mlruns"), True)
    settings = build(fold([*base_layers(base, Mark("base"), errors), *below.layers]), errors)
    if errors:
        raise ConfigError(errors)
    return settings


def known() -> dict[str, dict[str, str]]:
    """Titles of studies, data sets and presets, and what each baseline is, by name."""
    out = {"studies": {path.stem: title(path) for path in sorted(STUDIES.glob("*.yaml"))}}
    out["data sets"] = {name: title(path) for name, path in sorted(names("data").items())}
    out["presets"] = {name: title(path) for name, path in sorted(names("base").items())}
    out["baselines"] = {name: (cls.__doc__ or "").split("\n")[0] for name, cls in OPTIONS.items()}
    return out


def title(path: Path) -> str:
    """A file's title, or else the first sentence of its first comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    named = [line.removeprefix("title:").strip().strip("\"'") for line in lines if line.startswith("title:")]
    comment = " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))
    return named[0] if named else comment.partition(". ")[0].rstrip(".")
