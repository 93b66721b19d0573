"""CoLA and ACM-Net in the recordings of ../shared/recordings."""

import torch
from torch import Tensor

from model.options import AcmnetOptions, ColaOptions

from support.followed import Hyper, Seen, System


def cola(h: Hyper) -> ColaOptions:
    same = h.take(
        weight="weight", temperature="temperature", r_easy="r_easy", r_hard="r_hard", inner="m", outer="M",
        dropout="dropout", mask="mask", channels="H",
    )  # fmt: skip
    h.get("mask_seed")
    return ColaOptions(**same)


def acmnet(h: Hyper) -> AcmnetOptions:
    same = h.take(
        guide="guide", separation="separation", sparsity="sparsity", margin="margin", dropout="dropout",
        r_instance="r_instance", r_context="r_context", r_background="r_background", channels="H",
    )  # fmt: skip
    first, *rest = h["cls_weights"]
    assert rest == [1, 1]
    early = same["dropout"] if h["dataset"] == "ActivityNet" else 0
    return AcmnetOptions(**same, for_channels=0, instance=first, early_dropout=early)


def seen_cola(s: Seen) -> dict[str, Tensor]:
    mined = dict(zip(("easy_act", "easy_bkg", "hard_act", "hard_bkg"), s.calls["_taken"]))
    out = {"embedding": s.embedding, "cas": s.snippets.cas[0], "actionness": s.snippets.cas[0].sum(-1)}
    out |= {"score": s.results("mil.pool")[0][0].softmax(-1)}
    for name, ((_, scores, k), _) in mined.items():
        out[f"value_{name}"], out[f"idx_{name}"] = scores.topk(k)
    action, background = s.results("contrast")
    torch.testing.assert_close(action + background, s.step.parts["contrast"])
    out |= {"loss_contrast_action": action, "loss_contrast_background": background}
    return out | s.losses(video="video", contrast="contrast")


def seen_acmnet(s: Seen) -> dict[str, Tensor]:
    A = s.snippets.extra["branches"]
    cas = torch.cat([s.snippets.cas[0], s.snippets.extra["background"].unsqueeze(-1)], -1)
    out = {"embedding": s.embedding, "attention": A, "cas": cas}
    out["cas_instance_softmax"] = (cas * A[..., :1]).softmax(-1)
    for name, score, ((_, a, k), length) in zip(
        ("instance", "context", "background"), s.results("highest"), s.calls["_length"]
    ):
        out |= {f"score_{name}": score.softmax(-1), f"feature_{name}_norm": length}
        out[f"idx_{name}"] = a.topk(k).indices
    same = ("instance", "context", "background", "guide", "sparsity")
    return out | s.losses(separation="features", **{name: name for name in same})


COLA = System(
    "cola", {"embed.conv": "encoder.copies.0", "classifier": "classifier.copies.0"}, cola, seen_cola,
    ("mil.pool", "_taken", "contrast"), ("embedding", "time"),
    sequences={f"idx_{side}_{name}": ("actionness", -1) for side in ("easy", "hard") for name in ("act", "bkg")},
)  # fmt: skip
ACMNET = System(
    "acmnet",
    {"embed.conv": "encoder.copies.0", "attention": "attention.copies.0", "classifier": "classifier.copies.0"},
    acmnet, seen_acmnet, ("highest", "_length"), ("input", "attention", "time", "entries"),
    sequences={f"idx_{name}": ("attention", 1) for name in ("instance", "context", "background")},
)  # fmt: skip
SYSTEMS = {"cola": COLA, "acmnet": ACMNET}
