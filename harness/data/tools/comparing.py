"""What only shows when all feature files are seen together: copies, constant features, exchanged streams."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from harness.data.features import Contents, Part
from harness.data.findings import Findings
from harness.data.survey import Folder

FEW = 3  # videos from which an order of streams can be told
SWAPPED = 0.5  # how much nearer to the others' exchanged streams a video must be to be suspected


@dataclass(frozen=True)
class Seen:
    """A video whose numbers have been read, one part and its contents a stream."""

    split: str
    video: str
    parts: list[Part]
    contents: list[Contents]

    @property
    def finite(self) -> bool:
        """Whether all its numbers are."""
        return all(contents.finite for contents in self.contents)

    @property
    def means(self) -> list[np.ndarray]:
        """The mean snippet of each stream, (D,) each."""
        return [contents.mean for contents in self.contents]


def check_copies(seen: list[Seen], findings: Findings) -> None:
    """The same numbers in two places: videos of both splits, of one split, two streams of a video."""
    owners: dict[bytes, list[tuple[Seen, Part]]] = defaultdict(list)
    for video in seen:
        for part, contents in zip(video.parts, video.contents):
            owners[contents.digest].append((video, part))
    for first, *others in owners.values():
        for video, part in others:
            if video is first[0]:
                findings.defect(part.path, "two streams of the video hold the same numbers", part.words)
            elif video.split != first[0].split:
                text = f"the same numbers as {first[1].path} of the other split"
                findings.defect(part.path, text, part.words)
            else:
                findings.warn(part.path, f"the same numbers as {first[1].path}", part.words)


def check_constant(seen: list[Seen], folder: Folder, findings: Findings) -> None:
    """Videos whose snippets are all alike, and features that never change in the whole data set."""
    for video in seen:
        for part, contents in zip(video.parts, video.contents):
            if contents.snippets > 1 and contents.finite and (contents.low == contents.high).all():
                findings.defect(part.path, f"all {contents.snippets} snippets have the same features", part.words)
    for stream, name in enumerate(folder.streams):
        known = [video.contents[stream] for video in seen if video.contents[stream].finite]
        if len({contents.low.shape for contents in known}) != 1:
            continue
        low = np.min([contents.low for contents in known], 0)
        high = np.max([contents.high for contents in known], 0)
        if dead := int((low == high).sum()):
            findings.warn(folder.path, f"{dead} of {len(low)} features never change", f"stream '{name}'")


def check_order(seen: list[Seen], streams: tuple[str, ...], findings: Findings) -> None:
    """Videos whose two streams look like the other one does elsewhere."""
    known = [video for video in seen if video.finite]
    shapes = {mean.shape for video in known for mean in video.means}
    if len(streams) != 2 or len(shapes) != 1 or len(known) < FEW:
        return
    means = np.array([video.means for video in known])  # (V, 2, D)
    usual = np.median(means, 0)
    straight = np.linalg.norm(means - usual, axis=-1).sum(1)
    crossed = np.linalg.norm(means - usual[::-1], axis=-1).sum(1)
    for video, suspected in zip(known, crossed < SWAPPED * straight):
        if suspected:
            names = f"{streams[0]} and {streams[1]}"
            findings.warn(video.parts[0].path, f"{names} look exchanged, compared with the other videos")
