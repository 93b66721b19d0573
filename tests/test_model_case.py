"""``Case.step`` and ``Case.scores`` as they are: hard inputs, switches, gradients and what is carried between steps."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch.nn import functional as F

from model.case import Case, Step
from model.clustering import class_logits, label_loss
from model.labeling import label_clusters
from model.options import ProposedOptions
from model.settings import CaseSettings, CoLabel
from model.streams import Batch, Carried, Shape

M, B, T, D, C, H, K = 2, 3, 12, 6, 4, 8, 4
HARD_ROWS = {"project": "rows", "hard": True}  # PL of Table 4, which leaves clusters empty
PRESETS = {  # the numerics in which the presets of studies/base differ
    "paper": {},
    "released": {
        "epsilon": 2.0,
        "mean": "logits",
        "sinkhorn_steps": 3,
        "sinkhorn_steps_r": 3,
        "rank": "argsort",
        "initial_q_r": "uniform",
        "head": "projected",
        "options": ProposedOptions(lambda_a=2, per_video=True, guard=1e-7, label_norm=1, label_floor=1e-10, kernel=1),
    },
    "repaired": {"epsilon": 2.0, "mean": "logits", "sigma": 0.05, "initial_q_r": "uniform"},
    "pl": HARD_ROWS,
}


def case(seed: int = 0, streams: int = M, topk: int | None = None, **changes) -> Case:
    settings = replace(CaseSettings(width=H, clusters=K), **changes)
    if topk is not None:
        settings = replace(settings, options=replace(settings.options, topk=topk))
    return Case(settings, Shape((D,) * streams, C, H), seed)


def batch(snippets: int = T, scale: float = 1.0, labelled: int = B, streams: int = M, seed: int = 0) -> Batch:
    """Rectified noise; the first ``labelled`` videos have one class each, the others none."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.eye(C)[:B].clone()
    labels[labelled:] = 0
    return Batch.of(scale * torch.randn(streams, B, snippets, D, generator=rng).relu(), labels)


def carried(seed: int = 0, streams: int = M) -> Carried:
    """A Q^R (M, K, 2) in which no two streams or clusters agree."""
    share = torch.rand(streams, K, generator=torch.Generator().manual_seed(seed))
    return Carried(torch.stack([share, 1 - share], -1))


def gradients(module: Case, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """By name; a weight that ``loss`` does not reach is left out."""
    names, weights = zip(*module.named_parameters())
    found = torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True)
    return {name: value for name, value in zip(names, found) if value is not None}


def infinite(module: Case, step: Step) -> list[str]:
    """Names of all that is not finite in a step: loss, parts, monitors, labels, Q^R and gradients.

    A monitor that is a mean over selected (or unselected) snippets of which there are none has no value.
    """
    named = {"loss": step.loss, "Q_R": step.carried.Q_R, **step.parts, **step.monitors, **step.logits}
    named |= {f"label {n}": v for n, v in vars(step.pseudo).items() if v is not None}
    named |= {f"gradient {n}": v for n, v in gradients(module, step.loss).items()}
    named.pop({0.0: "P_A/selected", 1.0: "P_A/unselected"}.get(float(step.pseudo.Q_A.mean()), ""), None)
    return [name for name, value in named.items() if not bool(value.isfinite().all())]


def stepped(module: Case, data: Batch) -> Step:
    module.project_()
    return module.step(module.initial(), data)


def test_what_is_not_finite_is_named() -> None:
    module = case()
    assert infinite(module, stepped(module, batch())) == []
    broken = infinite(module, stepped(module, batch(scale=float("nan"))))
    assert {"loss", "clusters", "gradient head.weight"} <= set(broken)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("labelled", "snippets", "scale"),
    [
        (0, T, 1.0),  # no labels at all: the foreground is empty
        (1, T, 1.0),  # videos without foreground beside one with it
        (B, 1, 1.0),  # one snippet, which is selected
        (B, T, 1e4),  # large features in float32: attention 0 or 1, T-CAS one-hot
        (B, T, 1e-30),  # embeddings too small to have a direction
        (B, T, 0.0),  # no features at all
    ],
)
def test_hard_inputs_leave_everything_finite(preset: str, labelled: int, snippets: int, scale: float) -> None:
    module = case(**PRESETS[preset])
    assert infinite(module, stepped(module, batch(snippets, scale, labelled))) == []


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(  # k = T, 1, 0 (taken as 1); more clusters than snippets; one cluster
    ("topk", "clusters"), [(1, K), (T, K), (10 * T, K), (8, B * T + 5), (8, 1)]
)
def test_extreme_sizes_leave_everything_finite(preset: str, topk: int, clusters: int) -> None:
    module = case(topk=topk, **PRESETS[preset] | {"clusters": clusters})
    step = stepped(module, batch())
    assert infinite(module, step) == []
    assert step.carried.Q_R.shape == (M, clusters, 2)
    torch.testing.assert_close(step.carried.Q_R.sum(-1), torch.ones(M, clusters))
    if topk == 1:
        assert bool((step.pseudo.Q_A == 1).all())


@pytest.mark.parametrize("gamma", [0.7, 0.0])
@pytest.mark.parametrize("bias", [200.0, -200.0])
def test_saturated_attention_leaves_everything_finite(bias: float, gamma: float) -> None:
    """P^A is 0 or 1 exactly, so that one side of Eq. 2 is at its worst; Eq. 13's ranks are all ties."""
    module, data = case(sigma=0.1, options=ProposedOptions(gamma=gamma)), batch()
    for layer in module.baseline.attention_layer.copies:
        torch.nn.init.constant_(layer.bias, bias)
    assert set(module.baseline(data).attention.unique().tolist()) == {float(bias > 0)}
    assert infinite(module, stepped(module, data)) == []


def test_empty_clusters_leave_everything_finite() -> None:
    """Hard labels of a head whose rows agree: the first cluster takes all, the others have no prototype."""
    module = case(**HARD_ROWS)
    module.head.weight.data.copy_(module.head.weight.data[:, :1].expand(-1, K, -1))
    step = stepped(module, batch())
    assert step.pseudo.Q_C.sum(-2).tolist() == [[B * T, 0, 0, 0]]
    assert infinite(module, step) == []
    assert step.logits["classes"][:, 1:].abs().max() == 0, "P^R of a cluster without prototype is undecided"


def test_labels_have_the_marginals_that_they_are_given() -> None:
    """Eq. 4, 5, 12, as sharp as the paper has it."""
    step = case().step(carried(), batch())
    Q_A, Q_C, Q_R = step.pseudo.Q_A, step.pseudo.Q_C, step.pseudo.Q_R
    assert torch.equal(Q_R, step.carried.Q_R)
    torch.testing.assert_close(Q_C.sum(-1), torch.ones(1, B * T))
    torch.testing.assert_close(Q_C.sum(-2), torch.full((1, K), B * T / K))
    torch.testing.assert_close(Q_R.sum(-1), torch.ones(M, K))
    torch.testing.assert_close(Q_R[..., 0].sum(-1), K * Q_A.mean((-2, -1)))


TOGGLES = [CoLabel(*on) for on in product((False, True), repeat=3)]


@pytest.mark.parametrize("co", TOGGLES, ids=lambda co: "".join("ny"[v] for v in vars(co).values()))
def test_each_co_labelling_decides_over_its_own_label(co: CoLabel) -> None:
    """Eq. 24 over Q^A, Eq. 20 over Q^C, Eq. 22 over Q^R: streams share the label if and only if it is on."""
    Q = case(co_label=co, sigma=0.5).step(carried(), batch()).pseudo

    def shared(label: torch.Tensor) -> bool:
        return len(label) == 1 or torch.equal(label[0], label[1])

    assert (shared(Q.Q_A), shared(Q.Q_C), shared(Q.Q_R)) == (co.select, co.clusters, co.classes)


BASELINE = {"loss video", "loss attention"}
EFFECTS = [
    ("select", {"Q_C", "logits clusters", "loss clusters"}, BASELINE | {"Q_A", "Q_R"}),
    (
        "clusters",
        BASELINE | {"Q_A", "logits clusters"},
        {"Q_C", "Q_R", "logits classes", "loss clusters", "loss classes"},
    ),
    ("classes", BASELINE | {"Q_A", "Q_C", "logits classes", "loss clusters"}, {"Q_R", "loss classes"}),
]


@pytest.mark.parametrize(("name", "kept", "changed"), EFFECTS)
@pytest.mark.parametrize("others", [False, True])
def test_a_toggle_changes_what_it_should_and_only_that(name: str, kept: set, changed: set, others: bool) -> None:
    rest = CoLabel(others, others, others)
    off, on = (described(case(co_label=replace(rest, **{name: value}))) for value in (False, True))
    same = {key for key in off if off[key].shape == on[key].shape and torch.equal(off[key], on[key])}
    assert kept <= same
    assert not changed & same


def described(module: Case) -> dict[str, torch.Tensor]:
    step = module.step(carried(), batch())
    out = dict(vars(step.pseudo)) | {f"logits {n}": v for n, v in step.logits.items()}
    return out | {f"loss {n}": v for n, v in step.parts.items()}


def test_with_one_stream_no_toggle_changes_a_bit() -> None:
    first, *others = (case(streams=1, co_label=co).step(carried(streams=1), batch(streams=1)) for co in TOGGLES)
    assert all(torch.equal(step.loss, first.loss) for step in others)
    assert all(torch.equal(step.carried.Q_R, first.carried.Q_R) for step in others)


def test_the_loss_is_the_weighted_sum() -> None:
    """Eq. 16, with every weight other than 1; un-weighted parts."""
    step = stepped(case(lambda_c=0.5, lambda_r=3.0, options=ProposedOptions(lambda_a=0.25)), batch())
    parts = step.parts
    total = parts["video"] + 0.25 * parts["attention"] + 0.5 * parts["clusters"] + 3 * parts["classes"]
    torch.testing.assert_close(step.loss, total)


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_without_its_losses_a_head_changes_no_bit_of_the_baseline(preset: str) -> None:
    alone = case(**PRESETS[preset] | {"clusters": 0})
    idle = case(lambda_c=0.0, lambda_r=0.0, **PRESETS[preset])
    a, b = (stepped(module, batch()) for module in (alone, idle))
    assert torch.equal(a.loss, b.loss)
    of_alone, of_idle = gradients(alone, a.loss), gradients(idle, b.loss)
    assert not of_idle.pop("head.weight").any()
    assert of_alone.keys() == of_idle.keys()
    assert all(torch.equal(of_alone[name], of_idle[name]) for name in of_alone)
    assert not torch.equal(a.carried.Q_R, b.carried.Q_R), "labelling goes on for the prior and for testing"


def test_no_clusters_is_the_baseline_alone() -> None:
    module = case(clusters=0)
    step = stepped(module, batch())
    assert step.pseudo.Q_C is step.pseudo.Q_R is None
    assert step.carried.Q_R.shape == (M, 0, 2)
    assert module.scores(batch(), step.carried).keys() == {"cas", "attention", "embedding"}


def test_each_loss_reaches_its_own_weights() -> None:
    """Hence no gradient through a label: P^A, P^V and the head's logits enter the others' losses as labels only."""
    module = case()
    parts = stepped(module, batch()).parts

    def owners(loss: torch.Tensor) -> set[str]:
        reached = {name for name, gradient in gradients(module, loss).items() if gradient.any()}
        return {name.removeprefix("baseline.").split(".")[0] for name in reached}

    assert {name: owners(part) for name, part in parts.items()} == {
        "video": {"video_encoder", "action_classifier"},
        "attention": {"attention_encoder", "attention_layer"},
        "clusters": {"attention_encoder", "head"},
        "classes": {"attention_encoder"},
    }


def test_gradients_are_those_with_labels_held_constant() -> None:
    """Eq. 3, 8-11 written out once more with the labels of the step as given numbers."""
    module, data = case(), batch()
    step = module.step(carried(), data)
    Q = step.pseudo
    assert not any(label.requires_grad for label in (Q.Q_A, Q.Q_C, Q.Q_R, step.carried.Q_R))
    Z = module.baseline(data).embedding
    L_C = label_loss(Q.Q_C.clone(), 10 * F.normalize(Z, dim=-1) @ F.normalize(module.head.weight, dim=-1).mT)
    L_R = label_loss(Q.Q_R.clone(), class_logits(Q.Q_C.clone(), Q.Q_A.flatten(1).clone(), Z, 10.0))
    for name, loss in (("clusters", L_C), ("classes", L_R)):
        ours, theirs = gradients(module, step.parts[name]), gradients(module, loss)
        assert ours.keys() == theirs.keys()
        assert all(torch.allclose(ours[key], theirs[key], atol=1e-7) for key in ours)


def test_the_prior_sees_the_carried_q_r() -> None:
    """Eq. 13: Q^C follows the Q^R of the step before, not the one it leads to; without a prior it follows none."""
    module, data = case(sigma=0.1), batch()
    before = carried()
    Q_R = before.Q_R.clone()
    first = module.step(before, data)
    assert torch.equal(before.Q_R, Q_R), "the carried label is not written to"
    again = module.step(first.carried, data)
    assert not torch.equal(first.pseudo.Q_C, again.pseudo.Q_C)
    logits, a = first.logits["clusters"].detach(), module.baseline(data).attention.detach().flatten(1)
    assert torch.equal(first.pseudo.Q_C, label_clusters(logits, a, Q_R, module.settings).Q)
    assert torch.equal(again.pseudo.Q_C, label_clusters(logits, a, first.carried.Q_R, module.settings).Q)
    flat = case(sigma=float("inf"))
    assert torch.equal(flat.step(before, data).pseudo.Q_C, flat.step(first.carried, data).pseudo.Q_C)


def test_a_step_is_a_pure_function() -> None:
    module, data, state = case(), batch(), torch.random.get_rng_state()
    one, two = (module.step(carried(), data) for _ in range(2))
    assert torch.equal(one.loss, two.loss)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_order_of_videos_does_not_matter() -> None:
    """Snippets of a batch are a set: a symmetry of Eq. 1-15, here in float64."""
    module, order = case(sigma=0.1).double(), [2, 0, 1]
    given, start = batch(), Carried(carried().Q_R.double())
    data = replace(given, x=tuple(x.double() for x in given.x), labels=given.labels.double())
    turned = replace(data, rows=data.rows[order], labels=data.labels[order])
    one, two = (module.step(start, d) for d in (data, turned))
    torch.testing.assert_close(one.loss, two.loss)
    torch.testing.assert_close(one.carried.Q_R, two.carried.Q_R)
    torch.testing.assert_close(one.pseudo.Q_A[:, order], two.pseudo.Q_A)


@pytest.mark.parametrize("changes", [{"clusters": 0}, {"clusters": 7}, {"lambda_c": 0.0}, {"co_label": TOGGLES[0]}])
def test_rows_of_a_seed_start_from_the_same_weights(changes: dict) -> None:
    ours, theirs = case(seed=3).baseline.state_dict(), case(seed=3, **changes).baseline.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    other = case(seed=4).baseline.state_dict()
    assert not any(torch.equal(ours[name], other[name]) for name in ours)
