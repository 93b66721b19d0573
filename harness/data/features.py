"""Feature files: what one holds, whether its numbers are fit for training, and a video's streams as one array."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from harness.data.findings import Findings
from harness.data.reading import UnreadableError, load_features, read_shape

LARGEST = float(np.finfo(np.float16).max)  # 65504: features beyond it end in NaN at the first step


@dataclass(frozen=True)
class Part:
    """Where one stream of a video lies: a file (n, D), or the first or second half of its columns."""

    path: Path
    half: int | None = None  # 0 or 1; None: all columns

    @property
    def words(self) -> str:
        """Which columns of the file, for a message."""
        return "" if self.half is None else f"{('first', 'second')[self.half]} half of the columns"


@dataclass(frozen=True)
class Contents:
    """What the numbers of a part say, read once."""

    snippets: int
    finite: bool  # and within the range of float16
    mean: np.ndarray  # (D,) over snippets
    low: np.ndarray  # (D,)
    high: np.ndarray  # (D,)
    digest: bytes  # of the numbers


def measure_part(part: Part, findings: Findings) -> tuple[int, int] | None:
    """(n, D) of a part from its header, or None with the reason in ``findings``."""
    try:
        (n, D), _ = read_shape(part.path)
    except UnreadableError as error:
        note = str(error) if "expected" in str(error) else f"{error}; expected a .npy file of (snippets, D) floats"
        findings.error(part.path, note)
        return None
    if part.half is None:
        return n, D
    if D % 2:
        findings.error(part.path, f"{D} features per snippet; two streams side by side need an even number")
        return None
    return n, D // 2


def load_part(part: Part) -> np.ndarray:
    """The features (n, D) of a part, as stored."""
    features = load_features(part.path)
    if part.half is None:
        return features
    middle = features.shape[1] // 2
    return features[:, part.half * middle : (part.half + 1) * middle]


def inspect_part(part: Part, findings: Findings) -> Contents:
    """Read all numbers of a part; those that no training survives are errors."""
    features = np.ascontiguousarray(load_part(part))
    finite = np.isfinite(features)
    sound = bool(finite.all())
    if not sound:
        row, column = np.argwhere(~finite)[0]
        findings.error(
            part.path,
            f"{int((~finite).sum())} values are not finite, the first ({features[row, column]}) at snippet {row}, "
            f"feature {column}; expected finite numbers",
            part.words,
        )
    elif (peak := float(np.abs(features).max())) > LARGEST:
        row, column = np.argwhere(np.abs(features) == np.abs(features).max())[0]
        findings.error(
            part.path,
            f"value {peak:g} at snippet {row}, feature {column}; expected magnitudes up to {LARGEST:g} (float16)",
            part.words,
        )
        sound = False
    mean = features.mean(0, dtype=np.float64) if sound else np.zeros(features.shape[1])
    return Contents(len(features), sound, mean, features.min(0), features.max(0), sha256(features.tobytes()).digest())


def stack_streams(parts: Sequence[Part], width: int) -> np.ndarray:
    """(n, M, ``width``) float32: the streams of a video, narrower ones padded with zeros."""
    loaded = [load_part(part) for part in parts]
    out = np.zeros((len(loaded[0]), len(parts), width), np.float32)
    for stream, features in enumerate(loaded):
        out[:, stream, : features.shape[1]] = features
    return out
