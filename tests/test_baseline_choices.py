"""What single methods choose beyond the contract: whom W-TALC compares, what D2-Net labels of shorter videos."""

import math
from dataclasses import replace

import pytest
import torch

from model.baselines import wtalc
from model.options import WtalcOptions

from support.toy_baselines import B, T, batch, case


def test_d2_net_labels_the_highest_snippets_of_each_video() -> None:
    """Against a loop: the ceil(L / topk) highest of the first L, for the classes present; padding never."""
    module, lengths = case("d2net"), [T, 30, 20, 9]
    b = replace(batch(generator=None), lengths=torch.tensor(lengths), memory=module.initial().memory)
    snippets = module.baseline(b)
    expected = torch.zeros(B, T)
    for v, n in enumerate(lengths):
        for c in b.labels[v].nonzero()[:, 0]:
            scores = snippets.extra["tcam"][v, :n, c]
            expected[v, scores.argsort(descending=True)[: math.ceil(n / 8)]] = 1
    assert torch.equal(module.baseline.losses(snippets, b, True).Q_A[0], expected)


@pytest.mark.parametrize("dropped", [True, False])
@pytest.mark.parametrize("similar", ["drawn", "all"])
def test_w_talc_compares_as_released_or_as_its_paper(similar: str, dropped: bool) -> None:
    """Drawn pairs or all of them, of embeddings after or before dropout: one loss of the four each."""
    module = case("wtalc", options=WtalcOptions(similar=similar, dropped=dropped)).baseline
    b = batch()
    snippets = module(b)
    found = module.losses(snippets, b, True).parts["co_activity"]
    after, before = snippets.extra["dropped"], b.grid(snippets.embedding)[0]
    ways = {
        (pairs is None, z is after): wtalc.co_activity(z, snippets.cas[0], b.labels, 0.5, pairs)
        for pairs in (torch.arange(2), None)
        for z in (after, before)
    }
    same = [way for way, loss in ways.items() if torch.equal(found, loss)]
    assert same == [(similar == "all", dropped)]
