"""FTCL in the recordings of ../shared/recordings: two sets of videos, pair by pair, or pairs within one set."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from model.baselines import acmnet
from model.options import FtclOptions
from model.streams import Batch, Snippets

from support.followed import Arrays, Hyper, Seen, System
from support.recordings import batch


def ftcl(h: Hyper) -> FtclOptions:
    same = h.take(
        guide="guide", separation="separation", sparsity="sparsity", margin="margin", dropout="dropout",
        r_instance="r_instance", r_context="r_context", r_background="r_background", channels="H", transform="fc_dim",
        log_guard="log_guard", lcs="lcs", fsd="fsd", threshold="lcs_threshold", lcs_len="lcs_len", fsd_len="fsd_len",
        smooth="gamma",
    )  # fmt: skip
    assert (h["cls_weights"], h["dataset"]) == ([1, 1, 1], "THUMOS")
    if "lcs_scale" in h:
        same |= h.take(offset="lcs_offset", stretch="lcs_scale") | {"pairs": "within"}
    return FtclOptions(**same, for_channels=0, pretraining=0)


def pairs(z: Arrays, dtype: torch.dtype, step: int) -> Batch:
    """Both sets as one batch, video after video: those of the first set at even places."""
    if "features_2" not in z:
        return batch(z, dtype, step)
    index = (step - 1) % len(z["features"])
    both = [torch.as_tensor(z[key][index]).to(dtype) for key in ("features", "features_2")]
    labels = [torch.as_tensor(z[key][index]).to(dtype) for key in ("labels", "labels_2")]
    x = torch.stack(both, 1).flatten(0, 1)
    return Batch.of(torch.stack(x.chunk(2, -1)), torch.stack(labels, 1).flatten(0, 1))


def half(s: Seen, side: int) -> tuple[Snippets, Batch]:
    """The snippets of one set, and its batch."""
    picked = slice(side, None, 2)
    e = s.embedding[None, picked].flatten(1, 2)
    extra = {name: value[picked] for name, value in s.snippets.extra.items()}
    own = Snippets(s.snippets.cas[:, picked], s.snippets.attention[:, picked], e, None, extra)
    return own, replace(s.batch, rows=s.batch.rows[picked], labels=s.batch.labels[picked])


def seen_set(s: Seen, snippets: Snippets, b: Batch, more: str) -> dict[str, Any]:
    """ACM-Net's numbers of one set, by the function that the step calls for both."""
    e, A = b.grid(snippets.embedding)[0], snippets.extra["branches"]
    cas = torch.cat([snippets.cas[0], snippets.extra["background"].unsqueeze(-1)], -1)
    own = acmnet.Baseline.losses(s.state.case.baseline, snippets, b, True)
    names = ("instance", "context", "background", "guide", "sparsity")
    out = {f"loss_{name}{more}": own.parts[name] for name in names}
    out |= {f"loss_separation{more}": own.parts["features"], f"loss_acm{more}": own.loss}
    return out | {f"embedding{more}": e, f"attention{more}": A, f"cas{more}": cas}


def seen_ftcl(s: Seen) -> dict[str, Tensor]:
    out = s.losses(lcs="lcs", fsd="fsd") | {
        "lcs_per_pair": s.results("common_subsequence")[0], "fsd_per_pair": s.results("smooth_alignment")[0],
    }  # fmt: skip
    if s.options.pairs == "within":
        positive = s.results("same_pairs")[0]
        return out | {"mask/positive_pairs": positive} | seen_set(s, s.snippets, s.batch, "")
    for side, more in enumerate(("_1", "_2")):
        out |= seen_set(s, *half(s, side), more)
    for name in ("instance", "context", "background"):
        torch.testing.assert_close((out[f"loss_{name}_1"] + out[f"loss_{name}_2"]) / 2, s.step.parts[name])
    out |= {"loss_acm": (out["loss_acm_1"] + out["loss_acm_2"]) / 2}
    for name, score in zip(("instance", "context", "background"), s.results("baselines.acmnet.highest")):
        for side, more in enumerate(("_1", "_2")):
            out[f"score_{name}{more}"] = score[side::2].softmax(-1)
    return out


FTCL = System(
    "ftcl",
    {
        "embed.conv": "encoder.copies.0", "attention": "attention.copies.0", "classifier": "classifier.copies.0",
        "transform": "transform.copies.0",
    },
    ftcl, seen_ftcl, ("same_pairs", "common_subsequence", "smooth_alignment", "baselines.acmnet.highest"),
    ("time_{}", "entries_{}", "time", "entries"), copies=("1", "2"), axis=1, given=("negative_pairs",),
    draws="apart_pairs",
    inputs=("features_2", "labels_2"), batch=pairs,
)  # fmt: skip
SYSTEMS = {"ftcl": FTCL}
