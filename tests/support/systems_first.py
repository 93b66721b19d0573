"""ASL, BaS-Net and WUM in the recordings of ../shared/reference.

Only ASL's attention losses are taken apart: the step has their mean, each stream's is computed again by the same
function and their mean is compared with the step's.
"""

import torch
from torch import Tensor

from model import mil
from model.options import AslOptions, BasnetOptions, WumOptions

from support.followed import Hyper, Seen, System, ratio
from support.recordings import STREAMS

SELECTED = {
    "topk_indices": ("combined_cas", -2), "topk_indices_base": ("cas_base", -2), "topk_indices_supp": ("cas_supp", -2),
    "idx_act_by_magnitude": ("magnitudes", -1), "idx_bkg_by_magnitude": ("magnitudes", -1),
}  # fmt: skip


def asl(h: Hyper) -> AslOptions:
    return AslOptions(gamma=h["q"], topk=ratio(h["T"], h["topk"]))


def basnet(h: Hyper) -> BasnetOptions:
    assert h.get("dropout", 0) == 0
    assert h.get("leaky_slope", 0.01) == 0.01
    return BasnetOptions(alpha=h["alpha"], topk=ratio(h["T"], h["k"]), channels=h["H_cas"], for_snippets=0)


def wum(h: Hyper) -> WumOptions:
    T, shares = h["T"], h.take(r_act="r_act", r_bkg="r_bkg")
    assert [max(1, T // r) for r in shares.values()] == [h["k_act"], h["k_bkg"]]
    assert h.get("dropout", 0) == 0
    same = h.take(alpha="alpha", beta="beta", margin="margin", channels="H")
    return WumOptions(**same, **shares, for_channels=0)


def seen_asl(s: Seen) -> dict[str, Tensor]:
    o, P_A, Q_A = s.options, s.snippets.attention, s.step.pseudo.Q_A
    (combined,), (((_, selected), pooled),) = (
        s.results("baselines.proposed.calibrate"),
        s.calls["baselines.proposed.pool"],
    )
    each = [mil.generalised_bce(P[None], Q[None], o.gamma, o.per_video, o.guard) for P, Q in zip(P_A, Q_A)]
    torch.testing.assert_close(torch.stack(each).mean(), s.step.parts["attention"])
    return {f"attention_{name}": P_A[m] for m, name in enumerate(STREAMS)} | {
        "cas": s.snippets.cas[0], "combined_cas": combined.mean(0), "topk_indices": selected[0],
        "topk_mean_cas": pooled[0], "QA": Q_A[0], "loss_att_rgb": each[0], "loss_att_flow": each[1],
    } | s.losses(vid="video")  # fmt: skip


def seen_basnet(s: Seen) -> dict[str, Tensor]:
    out = {"foreground_weights": s.snippets.attention[0], "loss_norm": s.step.parts["sparsity"]}
    for short, part, ((cas, selected), pooled) in zip(("base", "supp"), ("base", "suppressed"), s.calls["mil.pool"]):
        out |= {f"cas_{short}": cas[0], f"topk_indices_{short}": selected[0]}
        out |= {f"score_{short}": pooled[0].softmax(-1), f"loss_{short}": s.step.parts[part]}
    Q_A = mil.foreground_labels(out["topk_indices_supp"][..., :-1], s.batch.labels, cas.shape[-2])
    assert torch.equal(s.step.pseudo.Q_A[0], Q_A)  # CASE's labels are the union of what is compared
    return out


def seen_wum(s: Seen) -> dict[str, Tensor]:
    (score_act,), (((_, bkg), score_bkg), ((_, act), mean_act), (_, mean_bkg)) = (
        s.results("mil.pool"),
        s.calls["_taken"],
    )
    e, labels = s.embedding, s.batch.labels
    Q_A = torch.zeros(s.snippets.attention.shape, dtype=labels.dtype).scatter_(-1, act, 1.0)
    assert torch.equal(s.step.pseudo.Q_A, Q_A)  # CASE's labels are what is compared
    return {
        "features_embedded": e, "magnitudes": e.norm(dim=-1), "cas_softmax": s.snippets.cas[0].softmax(-1),
        "score_act": score_act[0].softmax(-1), "score_bkg": score_bkg[0].softmax(-1), "idx_act_by_magnitude": act[0],
        "idx_bkg_by_magnitude": bkg[0], "mean_feat_act_norm": mean_act[0].norm(dim=-1),
        "mean_feat_bkg_norm": mean_bkg[0].norm(dim=-1),
    } | s.losses(cls="video", be="background", um="uncertainty")  # fmt: skip


ASL = System(
    "asl",
    {
        "video_encoder": "video_encoder.copies.0", "action_classifier": "action_classifier.copies.0",
        "{}.attention_encoder": "attention_encoder.copies.{}", "{}.attention_layer": "attention_layer.copies.{}",
    },
    asl, seen_asl, ("baselines.proposed.calibrate", "baselines.proposed.pool"), sequences=SELECTED, later=1e-7,
)  # fmt: skip
BASNET = System(
    "basnet",
    {
        "filter.conv1": "filter1.copies.0", "filter.conv2": "filter2.copies.0", "cas.conv1": "cas1.copies.0",
        "cas.conv2": "cas2.copies.0", "cas.conv3": "cas3.copies.0",
    },
    basnet, seen_basnet, ("mil.pool",), width="H_filter", sequences=SELECTED, later=1e-7,
)  # fmt: skip
WUM = System(
    "wum", {"embed.conv": "encoder.copies.0", "classifier": "classifier.copies.0"},
    wum, seen_wum, ("mil.pool", "_taken"), sequences=SELECTED, later=1e-7,
)  # fmt: skip
SYSTEMS = {"asl": ASL, "basnet": BASNET, "wum": WUM}
