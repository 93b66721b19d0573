"""Projection onto Eq. 4's polytope: labels with given marginals, nearest to a kernel S (Eq. 6, 7, 11, 14, 15).

The minimiser is diag(u) S diag(v) with rows that sum to 1 and columns that sum to beta. ``sinkhorn_steps`` says how it
is found: by so many rounds of Sinkhorn-Knopp, which stop on the way, or "converged": by Newton's method on the dual

    f(v) = sum_n logsumexp_k(log S_nk + v_k) - <beta, v>

which is convex, has K unknowns, the gradient c - beta (c: column sums of the labels) and the Hessian diag(c) - Q^T Q.
With two columns it is one equation in one unknown. All in float64, without gradient.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

TOLERANCE = 1e-10  # share of the labels by which column sums may be off
NEWTON_MOST = 200  # a training at default scale takes 5 to 11
HALVINGS = 20  # of a Newton step before a round of Sinkhorn-Knopp takes its place
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
        return Labels(log_sinkhorn(log_S, beta, steps).exp(), beta, log_S.new_tensor(steps))
    target = beta.double().expand(M, K)
    target = N * target / target.sum(-1, keepdim=True)
    solve = divide if K == 2 else newton
    Q, iterations = solve(log_S.double(), target)
    return Labels(Q.to(log_S.dtype), beta, iterations.to(log_S.dtype))


def newton(log_S: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (M, N, K) with column sums beta (M, K), and the iterations; after two rounds of Sinkhorn-Knopp.

    A Newton step that does not lower f enough is halved until it does; where that does not help either, a round of
    Sinkhorn-Knopp stands in, which lowers it always (it is the exact minimum in u, then in v). The Hessian is made
    regular along the all-ones direction: there f is constant.
    """
    N, K = log_S.shape[1:]
    empty, look = beta == 0, not log_S.is_cuda
    log_S, log_beta = log_S.masked_fill(empty.unsqueeze(-2), -torch.inf), beta.masked_fill(empty, 1).log()
    regular = torch.diag_embed(N / K * empty + 1e-13 * N) + N / K**2

    def labels(v: Tensor) -> tuple[Tensor, Tensor]:
        """f (M,) and Q at v; written out, because torch's softmax is several times slower in float64."""
        A = log_S + v.unsqueeze(-2)
        highest = A.amax(-1, keepdim=True)
        Q = (A - highest).exp()
        total = Q.sum(-1, keepdim=True)
        return (highest + total.log()).sum((-2, -1)) - (beta * v).sum(-1), Q / total

    def round_from(v: Tensor) -> Tensor:
        A = log_S + v.unsqueeze(-2)
        columns = (A - A.logsumexp(-1, keepdim=True)).logsumexp(-2)
        return (v + log_beta - columns).masked_fill(empty, 0)

    v = round_from(round_from(torch.zeros_like(beta)))
    f, Q = labels(v)
    iterations = torch.zeros_like(f[0])
    for _ in range(NEWTON_MOST if look else NEWTON_BLIND):
        gradient = Q.sum(-2) - beta
        going = gradient.abs().sum(-1) / 2 > TOLERANCE * N  # (M,); False for NaN
        if look and not going.any():
            break
        iterations = iterations + going.any()
        step = -torch.linalg.solve_ex(torch.diag_embed(Q.sum(-2)) - Q.mT @ Q + regular, gradient)[0]
        slope, share = (gradient * step).sum(-1), torch.ones_like(f)
        for _ in range(HALVINGS if look else 1):
            after = v + share.unsqueeze(-1) * step
            value, Q_next = labels(after)
            good = ~going | (value <= f + 1e-4 * share * slope + 1e-13 * N)  # Armijo, up to rounding
            if look and good.all():
                break
            share = torch.where(good, share, share / 2)
        else:
            after = torch.where(good.unsqueeze(-1), after, round_from(v))
            value, Q_next = labels(after)
        v, f = torch.where(going.unsqueeze(-1), after, v), torch.where(going, value, f)
        Q = torch.where(going[:, None, None], Q_next, Q)
    return Q, iterations


def divide(log_S: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (M, N, 2) with column sums beta (M, 2), and the iterations.

    With two columns Q_n0 = sigmoid(l_n + x), l_n the difference of the row: x is the root of a rising function, by
    Newton's method within a bracket that halves where Newton does not halve the error.
    """
    difference, wanted = log_S[..., 0] - log_S[..., 1], beta[..., 0]  # (M, N), (M,)
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
