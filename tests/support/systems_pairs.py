"""W-TALC, CO2-Net and DELU in the recordings of ../shared/recordings: the first videos of a batch are pairs."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.compute.train import State
from model.mil import full_cas
from model.options import Co2netOptions, DeluOptions, WtalcOptions
from model.streams import Batch

from support.followed import Arrays, Hyper, Seen, System
from support.recordings import STREAMS, batch


def wtalc(h: Hyper) -> WtalcOptions:
    same = h.take(share="share", delta="delta", s="s", dropout="dropout", channels="H")
    assert h["n_similar"] > 0
    h.get("padded")
    return WtalcOptions(**same)


def co2net(h: Hyper) -> Co2netOptions:
    return Co2netOptions(**two_streams(h))


def delu(h: Hyper) -> DeluOptions:
    more = h.take(
        evidence="w_edl", uncertainty_guide="w_uncertainty_guide", amplitude="amplitude", r_att="r_att",
        max_iterations="max_iter",
    )  # fmt: skip
    h.get("first_iteration")  # each step has its own, in mask/iteration
    return DeluOptions(**two_streams(h), **more)


def two_streams(h: Hyper) -> dict[str, Any]:
    assert (h["H"], h["n_similar"] > 0) == (2 * h["D"], True)
    return h.take(
        k="k", contrast="w_contrast", mutual="w_mutual", norm="w_norm", guide="w_guide", delta="delta", slope="slope",
        label_guard="label_guard", dropout="dropout", dropout_last="dropout_last", dropout_attention="dropout_att",
    )  # fmt: skip


def paired(z: Arrays, dtype: torch.dtype, step: int) -> Batch:
    """The recorded batch with its number of leading pairs; padding beyond the longest video is cut off."""
    index, pairs = (step - 1) % len(z["features"]), json.loads(str(z["hyper"]))["n_similar"]
    if "lengths" not in z:
        return replace(batch(z, dtype, step), pairs=pairs)
    lengths = torch.as_tensor(z["lengths"][index])
    cut = dict(z) | {"features": z["features"][:, :, : int(lengths.max())]}
    return replace(batch(cut, dtype, step), pairs=pairs, lengths=lengths)


def seen_wtalc(s: Seen) -> dict[str, Tensor]:
    out = {"embedding": s.embedding, "embedding_dropped": s.snippets.extra["dropped"], "cas": s.snippets.cas[0]}
    return out | s.losses(mil="video", co_activity="co_activity")


def seen_co2net(s: Seen) -> dict[str, Tensor]:
    extra, A = s.snippets.extra, s.snippets.attention
    out = {"embedding": extra["fused"], "cas": full_cas(s.snippets), "attention": A.mean(0)}
    for m, name in enumerate(STREAMS):
        out |= {f"attention_{name}": A[m], f"filtered_{name}": extra["filtered"][..., m, :]}
    return out | s.losses(**{name: name for name in s.step.parts})


def count_steps(state: State, z: Arrays, step: int) -> dict[str, Tensor]:
    """The number of the step, which the recordings choose."""
    done = torch.as_tensor(np.asarray(z[f"step{step}/mask/iteration"])).to(torch.float64)
    state.carried = replace(state.carried, memory={"iteration": done})
    return {}


FILTERED = {
    "{}.local": "local.copies.{}", "{}.global": "overall.copies.{}",
    **{f"{{}}.attention{i}": f"attention{i}.copies.{{}}" for i in (1, 2, 3)},
    **{name: f"{name}.copies.0" for name in ("fusion", "classifier1", "classifier2")},
}  # fmt: skip
MASKS = ("{}.global", "{}.local", "{}.attention1", "{}.attention3", "fusion", "classifier1", "classifier2")
WTALC = System(
    "wtalc", {"fc": "encoder.copies.0", "classifier": "classifier.copies.0"}, wtalc, seen_wtalc,
    masks=("embedding",), inputs=("lengths",), batch=paired, trajectory={"casl": "loss_co_activity"},
)  # fmt: skip
CO2NET = System("co2net", FILTERED, co2net, seen_co2net, masks=MASKS, batch=paired, width="H_att")
DELU = System(
    "delu", FILTERED, delu, seen_co2net, masks=MASKS, given=("iteration",), batch=paired, state=count_steps,
    width="H_att",
)  # fmt: skip
SYSTEMS = {"wtalc": WTALC, "co2net": CO2NET, "delu": DELU}
