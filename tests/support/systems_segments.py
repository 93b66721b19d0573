"""ASM-Loc in the recordings of ../shared/recordings: its base model, and the full one with given segments."""

from dataclasses import replace

import torch
from torch import Tensor

from harness.compute.train import State
from model.options import AsmlocOptions
from model.streams import Batch

from support.followed import Arrays, Hyper, Seen, System
from support.recordings import batch


def asmloc(h: Hyper) -> AsmlocOptions:
    same = h.take(
        foreground="w_fg", background="w_bg", action_background="w_abg", beta="beta", heads="heads", dropout="dropout",
        r_foreground="r_foreground", r_background="r_background", channels="H",
    )  # fmt: skip
    assert (h["bn_eps"], h["bn_momentum"]) == (1e-5, 0.1)
    early = h["dropout"] if h["dataset"] == "ActivityNet" else 0
    most = h["max_segments"]
    return AsmlocOptions(**same, early_dropout=early, segments=most if h["full"] else 0)


def numbered(z: Arrays, dtype: torch.dtype, step: int) -> Batch:
    return replace(batch(z, dtype, step), videos=torch.arange(z["labels"].shape[1]))


def proposed(state: State, z: Arrays, step: int) -> dict[str, Tensor]:
    """The recorded segments and pseudo labels of the batch's videos."""
    if "proposals" in z:
        names = {"boxes": "proposals", "counts": "proposal_counts", "labels": "pseudo_labels"}
        index = (step - 1) % len(z["features"])
        given = {name: torch.as_tensor(z[key][index]) for name, key in names.items()}
        state.carried = replace(state.carried, memory={**state.carried.memory, **given})
    return {}


def seen_asmloc(s: Seen) -> dict[str, Tensor]:
    extra, A = s.snippets.extra, s.snippets.extra["branches"]
    cas = torch.cat([s.snippets.cas[0], extra["background"].unsqueeze(-1)], -1)
    out = {"attention": A, "cas": cas, "cas_softmax": cas.softmax(-1)}
    out["cas_foreground_softmax"] = (cas * A[..., :1]).softmax(-1)
    (((encoded,), _),) = s.results("encode")
    out["embedding"] = encoded[0].relu().view(*A.shape[:2], -1)
    out |= {
        f"score_{name}": score.softmax(-1) for name, score in zip(("foreground", "background"), s.results("highest"))
    }
    if s.options.segments:
        out |= {f"embedding_{name}": extra[name] for name in ("intra", "inter")} | {"uncertainty": extra["uncertainty"]}
        out |= {f"running/{name}": value for name, value in s.state.carried.memory.items() if "." in name}
    return out | s.losses(**{name: name for name in s.step.parts})


BLOCKS = {
    f"{block}.{part}": f"{block}.{part}.copies.0"
    for block in ("intra", "inter") for part in ("query", "key", "value", "out")
}  # fmt: skip
NORMS = {
    f"{block}.norm.{theirs}": f"{block}.{ours}"
    for block in ("intra", "inter") for theirs, ours in (("weight", "scale"), ("bias", "shift"))
}  # fmt: skip
ASMLOC = System(
    "asmloc",
    {
        "embed.conv": "encoder.copies.0", "attention": "attention.copies.0", "classifier": "classifier.copies.0",
        "uncertainty": "uncertainty", **BLOCKS, **NORMS,
    },
    asmloc, seen_asmloc, ("encode", "highest"), ("input", "attention", "uncertainty", "time", "entries"),
    inputs=("proposals", "proposal_counts", "pseudo_labels"), batch=numbered, state=proposed,
)  # fmt: skip
SYSTEMS = {"asmloc": ASMLOC}
