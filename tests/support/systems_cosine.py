"""FAC-Net and RSKP in the recordings of ../shared/recordings: cosines, videos of different lengths."""

import json
from dataclasses import replace

import torch
from torch import Tensor

from harness.compute.train import State
from model.options import FacnetOptions, RskpOptions
from model.streams import Batch

from support.followed import Arrays, Hyper, Seen, System
from support.recordings import batch


def facnet(h: Hyper) -> FacnetOptions:
    assert h["stream"] in ("rgb", "flow")
    h.get("varied")
    same = h.take(
        scale="scale_factor", class_wise="lambda_cw", class_agnostic="lambda_ca", mil="lambda_mil", dropout="dropout"
    )
    return FacnetOptions(**same, temperatures=tuple(h["temperature"]))


def rskp(h: Hyper) -> RskpOptions:
    h.get("varied")
    same = h.take(
        scale="scale_factor", soft="T_soft", walk="w", tokens="K", rounds="em_iter", memory="memory",
        attention="lambda_a", background="lambda_b", pseudo="lambda_s", pseudo_memory="lambda_s_memory", s_att="s_att",
        warm_up="warmup_steps", dropout="dropout",
    )  # fmt: skip
    return RskpOptions(**same)


def varied(z: Arrays, dtype: torch.dtype, step: int) -> Batch:
    lengths = torch.as_tensor(z["lengths"][(step - 1) % len(z["features"])])
    return replace(batch(z, dtype, step), lengths=lengths)


def one_stream(z: Arrays, dtype: torch.dtype, step: int) -> Batch:
    b, m = varied(z, dtype, step), ("rgb", "flow").index(json.loads(str(z["hyper"]))["stream"])
    return replace(b, x=b.x[m : m + 1])


def cut(values: Tensor, lengths: Tensor) -> Tensor:
    """Zeros beyond the end of each video, as recorded; (B, T, ...)."""
    hidden = torch.arange(values.shape[1]) >= lengths[:, None]
    return values.masked_fill(hidden.view(*hidden.shape, *(1,) * (values.ndim - 2)), 0)


def seen_facnet(s: Seen) -> dict[str, Tensor]:
    extra, lengths = s.snippets.extra, s.batch.lengths
    cas = torch.cat([s.snippets.cas[0], extra["background"][:, 0, :, None]], -1)
    out = {"embedding": s.embedding, "cas": cas, "foreground_score": extra["foreground"][:, 0]}
    out = {name: cut(value, lengths) for name, value in out.items()}
    for name, ((logits, _), loss) in zip(("cw", "ca", "mil"), s.calls["cross_entropy"]):
        out |= {f"score_{name}": logits[0].softmax(-1), f"loss_{name}": loss[0], f"sum_{name}": loss.sum()}
    return out


def seen_rskp(s: Seen) -> dict[str, Tensor]:
    extra, lengths, o = s.snippets.extra, s.batch.lengths, s.options
    out = {"embedding": cut(s.embedding, lengths), "mu": extra["tokens"], "mu_score": extra["token_scores"]}
    for name, walked in zip(("reallocated", "memory"), s.results("walk")):
        out[f"embedding_{name}"] = cut(walked, lengths)
    heads, losses = ("original", "reallocated", "memory"), s.calls["cross_entropy"][:6]
    for i, name in enumerate(heads):
        out |= {f"{name}/score_ca": losses[i][0][0].softmax(-1), f"{name}/score_cw": losses[i + 3][0][0].softmax(-1)}
    first = {"cas": torch.cat([s.snippets.cas[0], extra["background"].unsqueeze(-1)], -1)}
    first |= {"attention": s.snippets.attention[0]}
    second = {"cas": extra["moved_cas"], "attention": extra["moved_attention"]}
    for name, values in zip(heads, (first, second, s.results("Baseline.recalled")[0])):
        out |= {f"{name}/{key}": cut(values[key], lengths) for key in ("cas", "attention")}
    memory = s.state.carried.memory
    on = float(memory["done"] > o.warm_up)
    a, b, c = ([loss for _, loss in losses[i::3]] for i in range(3))
    sides = [x + y + on * o.memory_head * z for x, y, z in zip(a, b, c)]
    each = dict(zip(("foreground", "background"), sides))
    each |= {"attention": s.results("attention_contrast")[0], "pseudo": s.results("follow")[0]}
    for name, values in each.items():
        torch.testing.assert_close(values.sum(), s.step.parts[name])
        out |= {f"loss_{name}": values, f"sum_{name}": s.step.parts[name]}
    return out | {"memory_after/mu": memory["tokens"], "memory_after/score": memory["scores"]}


def remembered(state: State, z: Arrays, step: int) -> dict[str, Tensor]:
    """At the end of the warm-up the memory is filled by all videos."""
    if not state.case.baseline.refreshes(step, 0):
        return {}
    numbers = range(1, len(z["features"]) + 1)
    batches = (replace(varied(z, torch.float64, i), memory=state.carried.memory) for i in numbers)
    memory = state.case.baseline.refresh(batches, lambda _: [])
    state.carried = replace(state.carried, memory=memory)
    return {"memory_init/mu": memory["tokens"], "memory_init/score": memory["scores"]}


FACNET = System(
    "facnet",
    {
        "embed1": "embed1.copies.0", "embed2": "embed2.copies.0", "action_centers": "centres",
        "foreground_center": "foreground",
    },
    facnet, seen_facnet, ("cross_entropy",), ("first", "second"), inputs=("lengths",), batch=one_stream, streams=1,
    trajectory={name: f"sum_{name}" for name in ("cw", "ca", "mil")},
)  # fmt: skip
RSKP = System(
    "rskp", {"embed": "embed.copies.0", "mu": "mu", "action_centers": "centres", "foreground_center": "foreground"},
    rskp, seen_rskp, ("cross_entropy", "walk", "follow", "attention_contrast", "Baseline.recalled"), ("first",),
    inputs=("lengths",), prepared=("memory_init/mu", "memory_init/score"), batch=varied, state=remembered,
    trajectory={"fore": "sum_foreground", "back": "sum_background", "att": "sum_attention", "spl": "sum_pseudo"},
)  # fmt: skip
SYSTEMS = {"facnet": FACNET, "rskp": RSKP}
