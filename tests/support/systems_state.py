"""D2-Net in the recordings of ../shared/recordings: random pairs and a running background."""

from dataclasses import replace

import torch
from torch import Tensor

from model.options import D2netOptions
from model.streams import Batch

from support.followed import Arrays, Hyper, Seen, System
from support.recordings import STREAMS, batch


def d2net(h: Hyper) -> D2netOptions:
    same = h.take(
        gamma="gamma", snippet="w_lds", video="w_ldv", topk="topk", slope="slope", dropout="dropout",
        momentum="bg_momentum",
    )  # fmt: skip
    assert h["H"] == h["D"]
    h.get("padded")
    return D2netOptions(**same, denoise_after=0 if h["pdmi"] else 1000)


def padded(z: Arrays, dtype: torch.dtype, step: int) -> Batch:
    index = (step - 1) % len(z["features"])
    lengths = torch.as_tensor(z["lengths"][index])
    cut = dict(z) | {"features": z["features"][:, :, : int(lengths.max())]}
    return replace(batch(cut, dtype, step), lengths=lengths)


def seen_d2net(s: Seen) -> dict[str, Tensor]:
    extra, out = s.snippets.extra, {"tcam": s.snippets.extra["tcam"]}
    for m, name in enumerate(STREAMS):
        out |= {
            f"cas_{name}": extra["streams_cas"][..., m, :],
            f"embedding_{name}": extra["streams_embedding"][..., m, :],
        }
    out["running_bg"] = s.state.carried.memory["background"]
    return out | s.losses(dis="discriminative", lds="snippet", ldv="video")


D2NET = System(
    "d2net", {name: name for name in ("conv1", "conv2", "classifier")}, d2net, seen_d2net, masks=("entries",),
    given=("perm_fg", "perm_bg", "pair_fg", "pair_bg"), draws="shuffled", inputs=("lengths",), batch=padded,
)  # fmt: skip
SYSTEMS = {"d2net": D2NET}
