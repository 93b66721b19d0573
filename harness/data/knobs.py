"""Every constant of the embedded data set in one place; a study replaces them by name (``source.knobs.NAME``).

They are calibrated on the baseline rows and on THUMOS14's annotation statistics, never on what CASE gains, and frozen:
change one only through ``source.knobs``. Pairs are (RGB, flow) unless said otherwise; times are in seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Annotated, Any

from annotated_types import Ge, Le, Lt

from harness.data.check import replace_constants
from harness.errors import DataError, report_unknown
from model.ranges import Amount, Count, Natural, Share

STREAMS = ("rgb", "flow")

AtLeastTwo = Annotated[int, Ge(2)]
Length = Annotated[float, Ge(1e-3), Lt(inf)]
Persistence = Annotated[float, Ge(0), Le(0.99)]  # of an AR(1) process
Signed = Annotated[float, Ge(-10), Le(10)]
Pair = tuple[Amount, Amount]
SharePair = tuple[Share, Share]


@dataclass(frozen=True)
class Knobs:
    """The generator's constants at default scale."""

    # size
    train_videos: Count = 200
    # four times THUMOS14's 210, which are the first of them: testing is cheap, and what differs between videos narrows
    test_videos: Count = 840
    classes: AtLeastTwo = 20
    dimension: Count = 64  # D, features per stream
    code_dimension: Count = 40  # d, dimension of the codes; codes have norm sqrt(d)
    # time line
    snippet_seconds: Length = 0.64  # 16 frames at 25 per second
    two_class_share: Share = 0.15  # videos of a pair of sibling classes
    sibling_pairs: Natural = 2  # siblings share a venue; their instances interleave
    instances_median: Length = 5.5  # log-normal number of instances of a video
    instances_sigma: Amount = 0.9
    instances_most: AtLeastTwo = 40
    duration_median: Length = 3.0  # median over classes of a class's median duration
    duration_class_sigma: Amount = 0.6  # spread of the classes' medians, in log
    duration_sigma: Amount = 0.55  # spread within a class, in log
    duration_least: Length = 0.5
    foreground: Annotated[float, Ge(0.01), Le(0.99)] = 0.30  # f, nominal foreground share
    foreground_sigma: Amount = 0.85  # spread over videos of the gap length, in log
    gap_sigma: Amount = 1.0  # spread within a video, in log
    # vocabulary
    sub_actions: Count = 8  # shared between classes
    venues: Count = 8
    situations: Count = 16  # background
    key_shared: Share = 0.1  # part of a key phase that is a shared sub-action
    scene_venue: Share = 0.5  # part of a class's scene that is its venue
    action_share: SharePair = (0.2, 0.5)  # part of every action code that is common to all actions
    deformation: Amount = 0.4  # per video and dimension, of action and situation codes
    # an instance: pre -> key -> post
    key_share: SharePair = (0.3, 0.75)  # lowest and highest share of the key phase; the salience gap
    lead_in: Amount = 1.5  # mean of the exponential lead-in and follow-through, labelled background
    lead_in_amplitude: Amount = 0.6
    # background
    run_median: Length = 5.0  # snippets per run, log-normal
    run_sigma: Amount = 0.7
    context_share: Share = 0.45  # runs that show the class scene; the others show a situation
    distractors: Share = 0.22  # runs that carry a shared sub-action
    distractor_action: Signed = -0.5  # what a distractor carries of the common action code
    # amplitudes
    scene: Pair = (1.1, 0.2)
    situation: Pair = (1.1, 0.3)
    action: Pair = (1.0, 1.25)  # calibrated on the baseline rows, as is lead_in
    offset: Pair = (0.7, 0.4)  # constant over a video
    noise: Pair = (0.45, 0.45)
    noise_rho: Persistence = 0.6  # AR(1) over snippets
    visibility_least: Share = 0.4  # v = least + (1 - least) sigmoid(slope h + bias)
    visibility_slope: Amount = 1.5
    visibility_bias: Signed = 0.5
    visibility_rho: Persistence = 0.8  # AR(1) of h
    visibility_correlation: Share = 0.3  # of h between the streams
    # features = gain relu(z W - threshold)
    gain: Length = 0.55
    threshold: Signed = 0.3


DEFAULT = Knobs()
SCALES: Mapping[str, Knobs] = {
    "default": DEFAULT,
    "tiny": replace(
        DEFAULT,
        train_videos=80,
        test_videos=60,
        classes=8,
        dimension=32,
        code_dimension=20,
        two_class_share=0.1,
        instances_median=4.0,
        instances_most=10,
        sub_actions=5,
        venues=4,
        situations=6,
    ),
    "paper": replace(DEFAULT, test_videos=210, dimension=1024, code_dimension=640),
}


def replace_knobs(scale: str, values: Mapping[str, Any]) -> Knobs:
    """The knobs of ``scale`` with ``values`` in place of theirs; DataError lists every wrong name and value."""
    if scale not in SCALES:
        raise DataError([f"source.scale: {report_unknown('scale', scale, SCALES)}"])
    knobs = replace_constants(SCALES[scale], values)
    if errors := find_conflicts(knobs):
        raise DataError(errors)
    return knobs


def find_conflicts(knobs: Knobs) -> list[str]:
    """Constants that contradict each other."""
    errors = []
    if knobs.key_share[0] > knobs.key_share[1]:
        errors.append(f"source.knobs.key_share: lowest {knobs.key_share[0]:g} above highest {knobs.key_share[1]:g}")
    if 2 * knobs.sibling_pairs > knobs.classes:
        errors.append(f"source.knobs.sibling_pairs: {knobs.sibling_pairs} pairs need more than {knobs.classes} classes")
    if knobs.two_class_share > 0 and knobs.sibling_pairs == 0:
        errors.append("source.knobs.two_class_share: above 0 needs source.knobs.sibling_pairs of at least 1")
    return errors
