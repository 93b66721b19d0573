"""The figures that a study may ask for: its name, the module of ``harness.report.figures`` that draws it, its title.

``module:function`` asks for an own one: the function takes the study's ``Records`` and returns a matplotlib figure.
"""

from collections.abc import Mapping

FIGURES: Mapping[str, tuple[str, str]] = {
    "forest": ("forest", "Claims: measured differences beside the claimed ones"),
    "effects": ("summary", "Differences to the reference row"),
    "gains": ("gains", "What each method gains, and all of them"),
    "sweep": ("summary", "The sweep as a curve"),
    "reliability": ("summary", "mAP over tIoU"),
    "entropy": ("training", "Entropy of the pseudo-labels over training (Fig. 3)"),
    "ranges": ("training", "Range of P^A, of R^A and of the pseudo-labels over training (Fig. 4)"),
    "per_class": ("detections", "Average precision per class"),
    "timelines": ("timelines", "Time lines: where CASE gains and where it loses (Fig. 7, 8)"),
    "worst": ("timelines", "Failure cases: the worst videos (Fig. 9)"),
    "clusters": ("clusters", "What the clusters hold (Fig. 5)"),
    "tsne": ("tsne", "Snippet embeddings and cluster prototypes (Fig. 6)"),
}
