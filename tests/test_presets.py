"""The presets of studies/base: what they hold, how they inherit, where they are found."""

from dataclasses import replace

import pytest

from harness import study
from harness.settings import Settings
from harness.study.building import build
from harness.study.document import Mark
from harness.study.keys import flat
from harness.study.layers import BASELINES, fold
from harness.study.presets import STUDIES, list_known, load_preset, read_base_layers
from model.options import OPTIONS, ProposedOptions

from support import study_files
from support.baseline_settings import of_baseline


@pytest.fixture
def write(tmp_path, monkeypatch):
    return study_files.writer(tmp_path, monkeypatch)


def test_paper_preset_is_what_the_dataclasses_say():
    text = (STUDIES / "base" / "paper.yaml").read_text()
    own = {path: value for path, value in flat(Settings()).items() if not path.startswith("source.")}
    unset = {"training.keep_embeddings", "localization.q_r", "localization.match"}  # no setting of the paper
    assert all(path.rpartition(".")[2] + ":" in text for path in own.keys() - unset)
    assert flat(load_preset("paper", "paper")) == flat(Settings()) | {
        "source.scale": "paper",
        "training.evaluate_every": 600,
    }


def test_released_preset_has_the_released_numbers():
    found = load_preset("released")
    assert found.case.options == ProposedOptions(2.0, 0.7, True, 1e-7, 1.0, 1e-10, 1 / 3, 0.2, 8, 1)
    assert (found.case.lambda_c, found.case.lambda_r, found.case.epsilon, found.case.mean) == (2.0, 0.6, 2.0, "logits")
    assert (found.case.rank, found.case.head, found.case.initial_q_r) == ("argsort", "projected", "uniform")
    assert (found.case.sinkhorn_steps, found.case.sinkhorn_steps_r, found.training.weight_decay) == (3, 3, 5e-4)
    nms = found.localization
    assert (nms.oic_lambda, nms.oic_gamma, nms.nms, nms.nms_plus) == (0.15, 0.2, "soft", 1.0)


def test_repaired_is_four_lines_away_from_released():
    lines = (STUDIES / "base" / "repaired.yaml").read_text().splitlines()
    assert len([line for line in lines if line.startswith(("case", "training", "localization", "metrics"))]) == 4
    released, repaired = flat(load_preset("released")), flat(load_preset("repaired"))
    changed = {path: repaired[path] for path in released if released[path] != repaired[path]}
    steps = dict.fromkeys(("case.sinkhorn_steps", "case.sinkhorn_steps_r"), "converged")
    assert changed == {"case.rank": "exact", "case.sigma": 0.05, **steps}


def test_activitynet_preset():
    errors = []
    found = build(fold(read_base_layers("activitynet", Mark("test"), errors)), errors)
    assert errors == []
    assert (found.training.snippets, found.case.options.topk, found.case.clusters) == (50, 2, 64)
    assert found.metrics.tiou == tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
    assert found.case == replace(Settings().case, clusters=64, options=ProposedOptions(topk=2))


def test_presets_beside_the_study(write):
    write("base: released\ncase.rho: 3\n", "mine.yaml")
    write("case.rho: 4\n", "base/other.yaml")
    assert study.load(write("base: mine\n")).rows[0].settings.case == replace(load_preset("released").case, rho=3.0)
    assert study.load("x.yaml", base="other").rows[0].settings.case.rho == 4
    assert study.load("x.yaml", base="mine.yaml").rows[0].settings.case.rho == 3
    write("base: b\n", "a.yaml")
    write("base: a\n", "b.yaml")
    assert study_files.refused("x.yaml", base="a") == ["b.yaml:1:7: base: 'a' inherits itself (a -> b -> a)"]
    assert study_files.refused(write("base: relesed"))[0].startswith(
        "x.yaml:1:7: base: unknown preset 'relesed'; did you mean 'released'?"
    )
    assert study_files.refused("x.yaml", base="papr")[0].startswith(
        "--base:1:1: base: unknown preset 'papr'; did you mean 'paper'?"
    )


def test_known_lists_everything_with_a_title():
    found = list_known()
    assert found["studies"]["table2"] == "Contribution of each component (Table 2)"
    assert set(found) == {"studies", "data sets", "presets", "baselines"}
    assert all(text for names in found.values() for text in names.values())


def test_every_baseline_says_what_choosing_it_sets() -> None:
    assert {path.stem for path in BASELINES.glob("*.yaml")} == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_choosing_a_baseline_sets_localisation_and_how_it_is_trained_alone(name: str) -> None:
    chosen, known = flat(of_baseline(name)), flat(Settings())
    changed = {path for path in known.keys() & chosen.keys() if chosen[path] != known[path]} - {"case.baseline"}
    assert {path for path in changed if not path.startswith(("localization.", "case.options."))} <= {
        *("training.weight_decay", "training.beta2", "training.pairs", "training.batch", "training.lr_scale"),
        *("training.sampling", "training.longest", "training.testing"),
    }
