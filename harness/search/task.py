"""What a search study asks: its objectives, its sampler and the settings of a trial. No optuna, no torch.

A study becomes a search by ``{tune: [...]}`` in its ``set`` (``harness.study.tune``) and by these keys: ``objective``
(one mapping or a list of them), ``search`` (trials, sampler, ...) and ``constraints`` ("memory_gb < 8").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from harness import sources
from harness.errors import ConfigError, hint
from harness.settings import Settings
from harness.study import Study, keys
from harness.study.document import Node, read_document
from harness.study.layers import flatten, list_leaves
from harness.study.loading import QUICK_SEEDS
from harness.study.metrics import find_metric, list_names
from harness.study.parts import Count, Part
from harness.study.schema import describe_allowed
from harness.study.tune import Space, is_tuned

MEASURED = list_names("training")  # they differ from call to call
SEARCHED = list_names("result", "training")
QUICK = {"trials": 6, "batch": 6, "test_seeds": QUICK_SEEDS}
FIXED = ("source.", "metrics.", "case.baseline")  # what is measured, and on what, is not tuned
CONSTRAINT = re.compile(r"\s*([\w./:]+)\s*(<=?|>=?)\s*([-+.\deE]+)\s*")


class Objective(Part):
    """A number to improve: the mean of ``metric`` over seeds, on held-out training videos."""

    metric: str = "video_map"
    split: Literal["validation"] = "validation"
    seeds: Count = 3
    direction: Literal["maximize", "minimize"] = "maximize"
    supervision: Literal["video", "temporal"] = "video"


class Rules(Part):
    """How a search goes."""

    trials: Count = 40
    sampler: Literal["tpe", "gp", "random", "grid"] = "tpe"
    pruner: Literal["median", "wilcoxon", "none"] = "median"
    batch: Count = 8  # trials asked before any of them is told; the same under any --jobs
    startup: Count = 10  # trials before the sampler models anything, and before any is pruned
    seed: Annotated[int, Field(ge=0)] = 0
    points: Annotated[int, Field(ge=2)] = 5  # of a range without step in a grid
    test_seeds: Annotated[int, Field(ge=2)] = 5  # fresh seeds for the comparison on the test split


@dataclass(frozen=True)
class Constraint:
    """``text`` holds where ``sign`` x (metric - bound) is at most 0 (below 0 where strict: a tie violates it)."""

    text: str
    metric: str
    sign: int
    bound: float
    strict: bool

    def violation(self, value: float) -> float:
        """Above 0 when violated, as Optuna wants it."""
        excess = self.sign * (value - self.bound)
        return excess if excess or not self.strict else 1e-12


@dataclass(frozen=True)
class Task:
    """A search: settings without the tuned values, the space, objectives, rules and constraints."""

    study: Study
    default: Settings
    space: Space
    objectives: tuple[Objective, ...]
    rules: Rules
    constraints: tuple[Constraint, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)  # the study's own settings that are not tuned

    @property
    def seeds(self) -> range:
        """Seeds of the search."""
        return range(self.objectives[0].seeds)

    @property
    def fresh(self) -> range:
        """Seeds of the comparison on the test split: none was used in the search."""
        return range(len(self.seeds), len(self.seeds) + self.rules.test_seeds)

    @property
    def temporal(self) -> bool:
        """Whether the search reads temporal annotations of training videos."""
        return any(objective.supervision == "temporal" for objective in self.objectives)

    @property
    def rescores(self) -> bool:
        """Whether every tuned setting only changes how stored scores are read: then nothing is trained per trial."""
        known = list_leaves(self.default.case.baseline)
        owners = [known.get(path) or known.get(path.rpartition(".")[0]) for path in self.space]
        return all(leaf is not None and leaf.scoring for leaf in owners)

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(objective.metric for objective in self.objectives)

    def digest(self) -> str:
        """16 hex digits over all that determines the list of trials but for their number."""
        rules = self.rules.model_dump(exclude={"trials", "test_seeds"})
        objectives = [objective.model_dump() for objective in self.objectives]
        content = [keys.flat(hold_out(self.default)), self.study.rows[0].fingerprint, objectives, rules]
        code = sources.digest(self.default.case.baseline)
        space = {path: keys.plain(spec) for path, spec in self.space.items()}
        return keys.digest([*content, space, [c.text for c in self.constraints], code])


def hold_out(settings: Settings) -> Settings:
    """The same on held-out training videos."""
    return replace(settings, source=replace(settings.source, split="validation"))


def read_task(study: Study, trials: int | None = None) -> Task:
    """The search that a study file describes; ConfigError lists everything that is wrong with it."""
    node = read_document(study.path)
    errors: list[str] = []
    objectives = read_objectives(study.search.get("objective") or {}, node, errors)
    rules = read_part(Rules, study.search.get("search", {}), node, ["search"], errors)
    texts = study.search.get("constraints", [])
    constraints = [read_constraint(text, node.at(["constraints", i]), errors) for i, text in enumerate(texts)]
    errors += check_study(study, node, objectives)
    if errors:
        raise ConfigError(errors)
    if study.quick:
        objectives = [o.model_copy(update={"seeds": min(o.seeds, QUICK_SEEDS)}) for o in objectives]
        rules = rules.model_copy(update={name: min(getattr(rules, name), most) for name, most in QUICK.items()})
    rules = rules.model_copy(update={"trials": trials} if trials else {})
    own = flatten(node.at(["set"]), [])
    fixed = {path: inner.plain() for path, inner in own.items() if not is_tuned(inner)}
    known = tuple(constraint for constraint in constraints if constraint)
    return Task(study, study.rows[0].settings, study.space, tuple(objectives), rules, known, fixed)


def read_objectives(given: Any, node: Node, errors: list[str]) -> list[Objective]:
    """One mapping, or a list of them."""
    if not isinstance(given, list):
        return [read_objective(given, node, ["objective"], errors)]
    return [read_objective(value, node, ["objective", i], errors) for i, value in enumerate(given)]


def read_objective(value: Any, node: Node, at: Sequence[str | int], errors: list[str]) -> Objective:
    """An objective; its metric is measured, and asks for no annotations that the supervision does not have."""
    objective: Objective = read_part(Objective, value, node, at, errors)
    mark, metric = node.at([*at, "metric"]).mark, objective.metric
    if not is_measured(metric):
        errors.append(f"{mark}: objective.metric: '{metric}'; {hint(metric, SEARCHED)}")
    elif needs_temporal(metric) and objective.supervision == "video":
        errors.append(
            f"{mark}: objective.metric: '{metric}' needs temporal annotations of training videos, which weak "
            "supervision does not have; allowed: video_map, or 'supervision: temporal' (the report will say so)"
        )
    return objective


def read_part(kind: Any, value: Any, node: Node, at: Sequence[str | int], errors: list[str]) -> Any:
    """``value`` as ``kind``; what is wrong is told at its place and left at its default."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            where = node.at([*at, *detail["loc"]])
            errors.append(explain(kind, detail, where, ".".join(map(str, (at[0], *detail["loc"])))))
        return kind()


def explain(kind: Any, detail: Any, where: Node, name: str) -> str:
    """One of pydantic's findings with its place, in words."""
    known, value = kind.model_fields, where.plain()
    if detail["type"] == "extra_forbidden":
        return f"{where.key}: {name}: unknown key; {hint(str(detail['loc'][-1]), known)}"
    if detail["type"] == "literal_error":
        choices = known[str(detail["loc"][0])].annotation.__args__
        return f"{where.mark}: {name}: found {value!r}; {hint(str(value), choices)}"
    return f"{where.mark}: {name}: found {value!r}; allowed: {describe_allowed(detail)}"


def is_measured(metric: str) -> bool:
    """Whether a run has this metric; what only a curve has is none."""
    found = find_metric(metric)
    return found is not None and found.held_in != "curves"


def needs_temporal(metric: str) -> bool:
    found = find_metric(metric)
    return found is not None and found.temporal


def check_study(study: Study, node: Node, objectives: Sequence[Objective]) -> list[str]:
    """What a search needs of the rest of a study."""
    errors = [study.missing] if study.missing else []
    asked = node.at(["objective"]).mark
    if not study.space:
        errors.append(f"{node.mark}: nothing to tune: no {{tune: [...]}} in the study's 'set'")
    if len(study.rows) != 1:
        errors.append(f"{node.at(['rows']).mark}: rows: found {len(study.rows)}; a search has one row at most")
    if not objectives:
        errors.append(f"{asked}: objective: found an empty list; allowed: at least one")
    if len({objective.seeds for objective in objectives}) > 1:
        errors.append(f"{asked}: objective: found several numbers of seeds; allowed: the same for all")
    for path in study.space:
        if path.startswith(FIXED):
            text = "it decides what is measured, or which settings there are; it cannot be tuned"
            errors.append(f"{node.at(['set', path]).mark}: {path}: {text}")
    return errors


def read_constraint(text: Any, node: Node, errors: list[str]) -> Constraint | None:
    """ "memory_gb < 8" read."""
    parts = CONSTRAINT.fullmatch(str(text))
    if parts is None:
        errors.append(f"{node.mark}: constraints: found {text!r}; allowed: METRIC < NUMBER, also <=, >, >=")
        return None
    metric, sign, bound = parts.groups()
    if not is_measured(metric):
        errors.append(f"{node.mark}: constraints: unknown metric '{metric}'; {hint(metric, SEARCHED)}")
        return None
    try:
        return Constraint(str(text), metric, 1 if sign[0] == "<" else -1, float(bound), len(sign) == 1)
    except ValueError:
        errors.append(f"{node.mark}: constraints: found {text!r}: '{bound}' is no number")
        return None


def locate_journal(study: Study, root: Path) -> Path:
    """Where the trials of a search are kept."""
    from harness.report.writing import locate_report

    return root / "searches" / locate_report(study, root).relative_to(root / "reports") / "journal.log"
