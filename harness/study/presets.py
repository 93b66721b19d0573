"""The layers below a study: base preset and data set, from ``studies/base``, ``studies/data`` or beside the study."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from harness.errors import ConfigError, hint, quote, shorten_path
from harness.settings import Settings, Source
from harness.sources import HOME
from harness.study.building import build
from harness.study.document import Mark, Node, is_file, is_folder, read_document, wrap
from harness.study.layers import Layer, flatten, fold
from model.options import OPTIONS

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


def list_files(folder: str, beside: Path | None = None) -> dict[str, Path]:
    """Presets of a kind ("base", "data") by name; those in ``studies/`` go before those beside a study."""
    places = [beside / folder, beside] if beside else []
    return {path.stem: path for place in [*places, STUDIES / folder] for path in sorted(place.glob("*.yaml"))}


def read_base_layers(name: str, mark: Mark, errors: list[str], beside: Path | None = None) -> tuple[Layer, ...]:
    """Layers of a base preset, inherited ones first. ``name`` may be the path of a file, e.g. a search's best.yaml."""
    return follow_bases(name, mark, errors, beside, ())


def read_tuned_layers(name: str, beside: Path | None = None) -> tuple[Layer, ...]:
    """What presets set under ``tuned``: it lies over the data set's settings (a search may tune the learning rate).

    Mistakes are told by ``base_layers``, which reads the same files.
    """
    path, out, seen = find_file(name, beside), list[Layer](), set[Path]()
    while path is not None and is_file(path) and path not in seen:
        seen.add(path)
        about, _ = read_preset_file(path, [])
        if "tuned" in about:
            out.insert(0, flatten(about["tuned"], []))
        path = find_file(str(about["base"].value), beside) if "base" in about else None
    return tuple(out)


def find_file(name: str, beside: Path | None) -> Path | None:
    return Path(name) if name.endswith((".yaml", ".yml")) else find_preset(name, beside)


def follow_bases(
    name: str, mark: Mark, errors: list[str], beside: Path | None, seen: tuple[str, ...]
) -> tuple[Layer, ...]:
    path = find_file(name, beside)
    if path is None or not is_file(path):
        errors.append(f"{mark}: base: unknown preset {quote(name)}; {hint(name, list_files('base'))}")
        return ()
    if name in seen:
        errors.append(f"{mark}: base: '{name}' inherits itself ({' -> '.join([*seen, name])})")
        return ()
    about, layer = read_preset_file(path, errors)
    if (parent := about.get("base")) is None:
        return (layer,)
    return (*follow_bases(str(parent.value), parent.mark, errors, beside, (*seen, name)), layer)


def find_preset(name: str, beside: Path | None) -> Path | None:
    """The preset of this name: of the project, else beside the study."""
    own = STUDIES / "base" / f"{name}.yaml"
    near = [beside / "base" / f"{name}.yaml", beside / f"{name}.yaml"] if beside else []
    return next((path for path in [own, *near] if is_file(path)), None)


def read_preset_file(path: Path, errors: list[str]) -> tuple[Mapping[str, Node], Layer]:
    """What a preset says about itself, and its settings."""
    try:
        node = read_document(path)
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


def read_data_layers(
    name: str, mark: Mark, quick: bool, errors: list[str], root: Path, asked: bool, moved: bool = False
) -> Below:
    """The data set ``name``: a file of ``studies/data``, or a folder. ``asked``: by the user, not by a study.

    ``moved``: the command line says where it lies; whether it is there, its reading tells.
    """
    known = list_files("data")
    if name in known:
        below = read_named(name, known[name], errors)
    elif name and is_folder(Path(name)):
        below = read_folder(Path(name), errors, root)
    else:
        errors.append(f"{mark}: {quote(name)} is neither a folder nor a data set; {hint(name, known)}")
        return Below(name, ())
    if moved:
        below = replace(below, missing="")
    if asked and below.missing:
        errors.append(f"{mark}: {below.missing}{quote_guide(name)}")
    return shrink(below, errors) if quick else below


def quote_guide(name: str) -> str:
    """What README.md says about getting data set ``name``; empty where it says nothing."""
    guide = HOME / "README.md"
    sections = guide.read_text(encoding="utf-8").split("\n### ")[1:] if guide.is_file() else []
    own = [text for text in sections if text.lower().startswith(name.lower().partition("-")[0])]
    return "\n\n### " + own[0].partition("\n## ")[0].rstrip() if own else ""


def read_named(name: str, path: Path, errors: list[str]) -> Below:
    layer = read_preset_file(path, errors)[1]
    source = {key: node.value for key, node in layer.items() if key.startswith("source.")}
    if source.get("source.name") != "folder":
        scale = source.get("source.scale", "default")
        return Below(DATA if scale == "default" else f"{DATA}-{scale}", (layer,), embedded=True)
    folder = Path(str(source.get("source.path", "")))
    missing = (
        ""
        if folder.is_dir()
        else f"data set '{name}' is not here: no folder '{folder}' (source.path in {shorten_path(path)})"
    )
    return Below(name, (layer,), missing)


def read_folder(folder: Path, errors: list[str], root: Path) -> Below:
    """A folder takes its data.yaml, or the values of the data set whose features are as wide; and its own streams."""
    from harness import data

    here = Mark("--data", 1, 1)
    source: Layer = {"source.name": Node("folder", here, here), "source.path": Node(str(folder), here, here)}
    streams = data.find_streams(folder) or Source().streams
    label = folder.resolve().name
    if is_file(own := folder / "data.yaml"):
        return Below(label, ({"source.streams": wrap(streams, here)} | read_preset_file(own, errors)[1] | source,))
    try:
        like = data.info(Source(name="folder", path=str(folder), streams=streams), root)["like"]
    except data.DataError as error:
        errors.extend(error.errors)
        like = DATA
    return Below(label, (read_scale(like, errors), {"source.streams": wrap(streams, here)} | source))


def read_scale(name: str, errors: list[str]) -> Layer:
    """A data set's settings without its source."""
    layer = read_preset_file(STUDIES / "data" / f"{name}.yaml", errors)[1]
    return {path: node for path, node in layer.items() if not path.startswith("source.")}


def shrink(below: Below, errors: list[str]) -> Below:
    """The data set at tiny scale: the embedded one changes, a folder keeps its source."""
    if below.embedded:
        tiny = read_preset_file(STUDIES / "data" / f"{QUICK}.yaml", errors)[1]
        return Below(f"{DATA}-{QUICK}", (*below.layers, tiny), embedded=True)
    return Below(f"{below.label}-quick", (*below.layers, read_scale(QUICK, errors)), below.missing)


def load_preset(base: str = "paper", scale: str = "default") -> Settings:
    """Settings of a base preset on the embedded data set at a scale: default, tiny or paper."""
    errors: list[str] = []
    files = {"default": DATA, "paper": "paper-scale"}
    below = read_data_layers(files.get(scale, scale), Mark("scale"), False, errors, Path("mlruns"), True)
    settings = build(fold([*read_base_layers(base, Mark("base"), errors), *below.layers]), errors)
    if errors:
        raise ConfigError(errors)
    return settings


def list_known() -> dict[str, dict[str, str]]:
    """Titles of studies, data sets and presets, and what each baseline is, by name."""
    out = {"studies": {path.stem: read_title(path) for path in sorted(STUDIES.glob("*.yaml"))}}
    out["data sets"] = {name: read_title(path) for name, path in sorted(list_files("data").items())}
    out["presets"] = {name: read_title(path) for name, path in sorted(list_files("base").items())}
    out["baselines"] = {name: (cls.__doc__ or "").split("\n")[0] for name, cls in OPTIONS.items()}
    return out


def read_title(path: Path) -> str:
    """A file's title, or else the first sentence of its first comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    named = [line.removeprefix("title:").strip().strip("\"'") for line in lines if line.startswith("title:")]
    comment = " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))
    return named[0] if named else comment.partition(". ")[0].rstrip(".")
