"""Projection onto Eq. 4's polytope: labels with given marginals, nearest to a kernel S (Eq. 6, 7, 11, 14, 15).

The minimiser is diag(u) S diag(v) with rows that sum to 1 and columns that sum to beta. ``sinkhorn_steps`` says how it
is found: by so many rounds of Sinkhorn-Knopp, which stop on the way, or "converged": by Newton's method on the dual

    f(v) = sum_n logsumexp_k(log S_nk + v_k) - <beta, v>

which is convex, has K unknowns, the gradient c - beta (c: column sums of the labels) and the Hessian diag(c) - Q^T Q.
With two columns it is one equation in one unknown. All in float64, without gradient.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

TOLERANCE = 1e-10  # share of the labels by which column sums may be off
NEWTON_MOST = 200  # a training at default scale takes 5 to 11
HALVINGS = 20  # of a Newton step before a round of Sinkhorn-Knopp takes its place
NEAR = 50.0  # a kernel serves duals within this of its own: nothing that counts underflows below exp(-700)
TINY = torch.finfo(torch.float64).tiny
NEWTON_BLIND = 20  # on a GPU nobody looks whether it is done: looking would stop the device
ROOT_MOST = 80  # halving a bracket as wide as log-kernels get leaves nothing after 64
LOG_ROUNDS_EVERY = 25  # rounds of Sinkhorn-Knopp between two in the log domain


@dataclass(frozen=True)
class Labels:
    """Labels Q (M, N, K), the column sums beta (M, K) that they were to have, and the iterations it took (scalar)."""

    Q: Tensor
    beta: Tensor
    iterations: Tensor


def transport(log_S: Tensor, beta: Tensor, steps: int | Literal["converged"]) -> Labels:
    """Eq. 6, 7, 11, 14, 15: labels of the kernel S with column sums beta; (M, N, K), (M, K), in the precision of S.

    It never fails: a column of which there is nothing (beta 0) gets labels of 0, and what is not finite stays so.
    """
    M, N, K = log_S.shape
    if steps != "converged":
        return Labels(flush(log_sinkhorn(log_S, beta, steps).exp()), beta, log_S.new_full((), steps))
    target = beta.double().expand(M, K)
    target = N * target / target.sum(-1, keepdim=True)
    solve = divide if K == 2 else newton
    Q, iterations = solve(log_S, target)
    return Labels(flush(Q.to(log_S.dtype)).contiguous(), beta, iterations.to(log_S.dtype))


def flush(Q: Tensor) -> Tensor:
    """Labels below the smallest normal number as 0: products with subnormal ones take ten times as long on a CPU."""
    return F.threshold(Q, torch.finfo(Q.dtype).tiny, 0)


class Kernel(NamedTuple):
    """exp(log S + base), turned (M, K, N), each snippet's largest entry 1; ``top`` (M,) sums what that took away."""

    base: Tensor
    entries: Tensor
    top: Tensor


class Point(NamedTuple):
    """The dual at v (M, K): f (M,), the labels w R (M, K, N) in two factors and their column sums (M, K)."""

    v: Tensor
    f: Tensor
    w: Tensor
    R: Tensor
    columns: Tensor
    kernel: Kernel


def rescale(log_S: Tensor, v: Tensor) -> Kernel:
    """The kernel at v; log_S (M, K, N)."""
    A = log_S + v.unsqueeze(-1)
    top = A.amax(-2, keepdim=True)
    return Kernel(v, (A - top).exp(), top.sum((-2, -1)))


def evaluate(kernel: Kernel, v: Tensor, beta: Tensor) -> Point:
    """f and labels at v: from the kernel at a v nearby without a further exponential of its size."""
    w = (v - kernel.base).exp()
    total = w.unsqueeze(-2) @ kernel.entries  # (M, 1, N)
    R = kernel.entries / total
    f = kernel.top + total.log().sum((-2, -1)) - (beta * v).sum(-1)
    return Point(v, f, w, R, w * R.sum(-1), kernel)


def newton(log_S: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (M, N, K) with column sums beta (M, K), and the iterations; after two rounds of Sinkhorn-Knopp.

    A Newton step that does not lower f enough is halved until it does; where that does not help either, a round of
    Sinkhorn-Knopp stands in, which lowers it always (it is the exact minimum in u, then in v). The Hessian is made
    regular along the all-ones direction: there f is constant. A start at the last batch's dual was tried: it takes
    more iterations (9.6 in place of 8.5, 7.1 of 6.5), as other videos are in it.
    """
    N, K = log_S.shape[1:]
    empty, look = beta == 0, not log_S.is_cuda
    log_S = log_S.mT.to(torch.float64, memory_format=torch.contiguous_format)  # (M, K, N): sums over K are fast so
    log_S, log_beta = log_S.masked_fill(empty.unsqueeze(-1), -torch.inf), beta.masked_fill(empty, 1).log()
    regular = torch.diag_embed(N / K * empty + 1e-13 * N) + N / K**2

    def move(here: Point, v: Tensor) -> Point:
        near = look and bool((v - here.kernel.base).abs().amax() < NEAR)
        return evaluate(here.kernel if near else rescale(log_S, v), v, beta)

    def make_round(here: Point) -> Tensor:
        return (here.v + log_beta - here.columns.clamp_min(TINY).log()).masked_fill(empty, 0)

    start = (log_S.amax(-2, keepdim=True) - log_S).amin(-1).masked_fill(empty, 0)  # no column underflows there
    here = evaluate(rescale(log_S, start), start, beta)
    for _ in range(2):
        here = move(here, make_round(here))
    iterations = torch.zeros_like(here.f[0])
    for _ in range(NEWTON_MOST if look else NEWTON_BLIND):
        gradient = here.columns - beta
        going = gradient.abs().sum(-1) / 2 > TOLERANCE * N  # (M,); False for NaN
        if look and not going.any():
            break
        iterations = iterations + going.any()
        outer = here.w.unsqueeze(-1) * (here.R @ here.R.mT) * here.w.unsqueeze(-2)
        step = -torch.linalg.solve_ex(torch.diag_embed(here.columns) - outer + regular, gradient)[0]
        step = step.masked_fill(~going.unsqueeze(-1), 0)  # a stream that is done stays
        slope, share = (gradient * step).sum(-1), torch.ones_like(here.f)
        for _ in range(HALVINGS if look else 1):
            there = move(here, here.v + share.unsqueeze(-1) * step)
            good = ~going | (there.f <= here.f + 1e-4 * share * slope + 1e-13 * N)  # Armijo, up to rounding
            if look and good.all():
                break
            share = torch.where(good, share, share / 2)
        else:
            there = move(here, torch.where(good.unsqueeze(-1), there.v, make_round(here)))
        here = there
    return (here.w.unsqueeze(-1) * here.R).mT, iterations


def divide(log_S: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (M, N, 2) with column sums beta (M, 2), and the iterations.

    With two columns Q_n0 = sigmoid(l_n + x), l_n the difference of the row: x is the root of a rising function, by
    Newton's method within a bracket that halves where Newton does not halve the error.
    """
    difference, wanted = log_S[..., 0].double() - log_S[..., 1].double(), beta[..., 0]  # (M, N), (M,)
    middle = torch.logit(wanted / difference.shape[-1])
    low, high = middle - difference.amax(-1), middle - difference.amin(-1)
    x, before = (low + high) / 2, torch.full_like(middle, torch.inf)
    iterations = torch.zeros_like(middle[0])
    for _ in range(ROOT_MOST):
        Q = torch.sigmoid(difference + x.unsqueeze(-1))
        off = Q.sum(-1) - wanted
        going = off.abs() > TOLERANCE * difference.shape[-1]
        if not log_S.is_cuda and not going.any():
            break
        iterations = iterations + going.any()
        low, high = torch.where(off < 0, x, low), torch.where(off > 0, x, high)
        tangent = x - off / (Q * (1 - Q)).sum(-1)
        good = (tangent > low) & (tangent < high) & (off.abs() < before / 2)
        x, before = torch.where(going, torch.where(good, tangent, (low + high) / 2), x), off.abs()
    first = torch.sigmoid(difference + x.unsqueeze(-1))
    return torch.stack([first, torch.sigmoid(-difference - x.unsqueeze(-1))], -1), iterations


def log_sinkhorn(log_S: Tensor, beta: Tensor, steps: int) -> Tensor:
    """Eq. 7, 15, 30: log of diag(u) S diag(v) after ``steps`` rounds of Sinkhorn-Knopp; (M, N, K), (M, K) -> (M, N, K).

    A round scales columns to ``beta`` and then rows to 1, so rows hold exactly and columns in the limit. The log domain
    is needed (exp(200 cos) overflows float32) but slow, so only every ``LOG_ROUNDS_EVERY``-th round works in it; it
    leaves rows that sum to 1, from which the others scale the matrix itself, in float64. A side of which there is
    nothing (beta 0: no foreground in the batch) gets labels of practically 0.
    """
    beta = beta.clamp_min(torch.finfo(beta.dtype).tiny)
    log_beta = beta.log().unsqueeze(-2)
    for start in range(0, steps, LOG_ROUNDS_EVERY):
        log_S = log_S + (log_beta - log_S.logsumexp(-2, keepdim=True))
        log_S = log_S - log_S.logsumexp(-1, keepdim=True)
        rounds = min(LOG_ROUNDS_EVERY, steps - start) - 1
        if rounds:
            log_S = log_S + _scaling(log_S.double().exp(), beta.double().unsqueeze(-1), rounds).to(log_S.dtype)
    return log_S


def _scaling(S: Tensor, beta: Tensor, rounds: int) -> Tensor:
    """log u + log v (M, N, K) after ``rounds`` of scaling S (M, N, K) to column sums beta (M, K, 1) and rows 1."""
    tiny = torch.finfo(S.dtype).tiny
    u, v = torch.ones_like(S[..., :1]), torch.ones_like(beta)
    for _ in range(rounds):
        v = beta / (S.mT @ u).clamp_min(tiny)  # (M, K, 1)
        u = 1 / (S @ v).clamp_min(tiny)  # (M, N, 1)
    return u.log() + v.mT.log()
