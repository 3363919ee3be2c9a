r"""THE SHEET: every equation of every LSTM here, one step at a time. Read this first.

Gates come in the order i f g o, as in PyTorch; [..] acts only if the :class:`~gatewise.cell.Cell` asks for it::

    (1)  a   = W_ih x_t + b_ih + W_hh (h_{t-1} [* m_h]) + b_hh    [(1') LN(W_ih x) * gain_ih, LN(W_hh h) * gain_hh]
    (2)  i   = sigmoid(a_i [+ p_i * c_{t-1}])
    (3)  f   = sigmoid(a_f [+ p_f * c_{t-1}])                     [(3') coupled: f = 1 - i; no forget gate: f = 1]
    (4)  g   = tanh(a_g)                                          [(4') g := g * m_g]
    (5)  c*  = f * c_{t-1} + i * g
    (6)  o   = sigmoid(a_o [+ p_o * c*])
    (7)  h*  = o * tanh(c*)                                       [LN(c*) * gain_c inside tanh]  [(7') h* := W_hr h*]
    (8)  c_t = hold(c*, c_{t-1}, k_c)
    (9)  h_t = hold(h*, h_{t-1}, k_h)                             output_t = h_t where alive, else 0

    hold(new, old, k) = where(alive, old [+ k (new - old), else new], old)

``step`` is these lines and, under autograd, the truth that every kernel is tested against. ``step_backward`` and
``weight_gradients`` are its derivative by hand: the text that faster kernels follow, with the same numbers and names.
Products run in the dtype of the weights; gates, c and their gradients in at least float32 (*wide*).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from gatewise.cell import Cell, Weights
from gatewise.types import State

EPSILON = 1e-5  # of layer normalisation, as in torch.nn.LayerNorm


class Acts(NamedTuple):
    """What acts on one step from outside: nothing of it is drawn or differentiated here. None: does not act."""

    alive: Tensor | None = None  # [B, 1] bool; False: the row has ended, everything holds
    m_h: Tensor | None = None  # [B, P or H], hidden dropout, already divided by 1 - rate
    m_g: Tensor | None = None  # [B, H], recurrent dropout, already divided by 1 - rate
    k_h: Tensor | float | None = None  # [B, P or H], zoneout: 1 takes the new h; outside training the mean, 1 - rate
    k_c: Tensor | float | None = None  # [B, H]


NOTHING = Acts()


class Saved(NamedTuple):
    """What a step leaves for its derivative; everything else is cheap to make again."""

    h_prev: Tensor  # [B, P or H]
    c_prev: Tensor  # [B, H]
    i: Tensor  # [B, H], as are f g o
    f: Tensor
    g: Tensor  # before m_g
    o: Tensor
    c_star: Tensor  # [B, H]
    r: Tensor  # [B, G*H], the recurrent product of (1), for layer norm; else of size 0


class StepGradients(NamedTuple):
    """The derivative of the loss by what stands inside a step: enough for every parameter's, all steps at once."""

    a: Tensor  # [B, G*H], also the gradient of x_proj
    r: Tensor  # [B, G*H], by the recurrent product
    normed_c: Tensor  # [B, H], by what goes into the tanh of (7)
    h_star: Tensor  # [B, P or H]


def project_input(input: Tensor, weights: Weights) -> Tensor:
    """The part of (1) that no step waits for: ``[..., I]`` to ``x_proj [..., G*H]``, wide."""
    x_proj = norm(widen(linear(input, weights.weight_ih)), weights.gain_ih)  # (1')
    for bias in (weights.bias_ih, weights.bias_hh):
        if bias is not None:
            x_proj = x_proj + bias
    return x_proj


def step(cell: Cell, x_proj: Tensor, state: State, weights: Weights, acts: Acts = NOTHING) -> tuple[State, Saved]:
    """One step: ``x_proj [B, G*H]``, ``state`` of h ``[B, P or H]`` and c ``[B, H]``, to the next state."""
    h_prev, c_prev = state
    alive, m_h, m_g, k_h, k_c = acts
    p_i, p_f, p_o = peepholes(cell, weights)

    r = widen(linear(times(h_prev, m_h), weights.weight_hh))
    a = x_proj + norm(r, weights.gain_hh)  # (1) (1')
    a_i, a_f, a_g, a_o = split_gates(cell, a)

    i = torch.sigmoid(look(a_i, p_i, c_prev))  # (2)
    if a_f is not None:
        f = torch.sigmoid(look(a_f, p_f, c_prev))  # (3)
    elif cell.coupled:
        f = 1 - i  # (3')
    else:
        f = torch.ones_like(i)  # (3')
    g = torch.tanh(a_g)  # (4)
    c_star = f * c_prev + i * times(g, m_g)  # (4') (5)
    o = torch.sigmoid(look(a_o, p_o, c_star))  # (6)
    h_star = o * torch.tanh(norm(c_star, weights.gain_c))  # (7)
    if weights.weight_hr is not None:
        h_star = linear(h_star.to(h_prev.dtype), weights.weight_hr)  # (7')

    c = hold(c_star, c_prev, k_c, alive)  # (8)
    h = hold(h_star, h_prev, k_h, alive).to(h_prev.dtype)  # (9)
    if weights.gain_hh is None:
        r = r[:, :0]
    return State(h, c), Saved(h_prev, c_prev, i, f, g, o, c_star, r)


def step_backward(
    cell: Cell, saved: Saved, d_state: State, weights: Weights, acts: Acts = NOTHING
) -> tuple[State, StepGradients]:
    """The derivative of :func:`step`, read from (9) up to (1): by the state before it, and inside it.

    ``d_state`` is the derivative of the loss by h_t and c_t, wide.
    """
    _, c_prev, i, f, g, o, c_star, r = saved
    alive, m_h, m_g, k_h, k_c = acts
    p_i, p_f, p_o = peepholes(cell, weights)

    d_h_star, d_h_prev = hold_backward(d_state.h, k_h, alive)  # (9)
    d_c_star, d_c_prev = hold_backward(d_state.c, k_c, alive)  # (8)
    d_u = d_h_star if weights.weight_hr is None else product(d_h_star, weights.weight_hr)  # (7')

    tanh_c = torch.tanh(norm(c_star, weights.gain_c))
    d_normed_c = d_u * o * (1 - tanh_c * tanh_c)  # (7)
    d_a_o = d_u * tanh_c * o * (1 - o)  # (6)
    d_c_star = look(d_c_star + norm_backward(d_normed_c, c_star, weights.gain_c), p_o, d_a_o)

    d_c_prev = d_c_prev + d_c_star * f  # (5)
    d_f = d_c_star * c_prev
    d_i = d_c_star * times(g, m_g)
    d_g = d_c_star * times(i, m_g)  # (4')
    d_a_g = d_g * (1 - g * g)  # (4)
    d_a_f = None if cell.num_gates == 3 else d_f * f * (1 - f)  # (3)
    if cell.coupled:
        d_i = d_i - d_f  # (3')
    d_a_i = d_i * i * (1 - i)  # (2)
    d_c_prev = look(d_c_prev, p_i, d_a_i)
    if d_a_f is not None:
        d_c_prev = look(d_c_prev, p_f, d_a_f)

    d_a = torch.cat([d for d in (d_a_i, d_a_f, d_a_g, d_a_o) if d is not None], -1)
    d_r = norm_backward(d_a, r, weights.gain_hh)  # (1')
    d_h_prev = d_h_prev + times(product(d_r, weights.weight_hh), m_h)  # (1)
    return State(d_h_prev, d_c_prev), StepGradients(d_a, d_r, d_normed_c, d_h_star)


def weight_gradients(
    cell: Cell, input: Tensor, saved: Saved, d: StepGradients, weights: Weights, *, m_h: Tensor | None = None
) -> Weights:
    """The derivative by the parameters, all steps and rows at once: every argument has ``[T, B]`` in front.

    ``input`` is ``[T, B, I]``; ``m_h`` the hidden mask, ``[B, P or H]``. Everything in the dtype of its parameter.
    """
    h_prev = times(saved.h_prev, m_h)
    d_x, d_bias = d.a, total(d.a)
    gains: dict[str, Tensor] = {}
    if weights.gain_ih is not None:
        x = widen(linear(input, weights.weight_ih))
        d_x = norm_backward(d.a, x, weights.gain_ih)  # (1')
        gains["gain_ih"] = total(d.a * normalise(x))
        gains["gain_hh"] = total(d.a * normalise(saved.r))
        gains["gain_c"] = total(d.normed_c * normalise(saved.c_star))  # (7)
    gradients = Weights(
        weight_ih=outer(d_x, input),  # (1)
        weight_hh=outer(d.r, h_prev),  # (1)
        bias_ih=d_bias,
        bias_hh=d_bias.clone(),  # never one memory for two gradients
        weight_hr=_projection_gradient(cell, saved, d, weights),
        weight_peephole=_peephole_gradient(cell, saved, d) if cell.peephole else None,
        **gains,
    )
    pairs = zip(Weights._fields, weights, gradients, strict=True)
    return Weights(**{name: d_w.to(w.dtype) for name, w, d_w in pairs if w is not None and d_w is not None})


def input_gradient(input: Tensor, d: StepGradients, weights: Weights) -> Tensor:
    """The derivative by the input, all steps at once: ``[T, B, I]``, wide. The other half of (1)."""
    if weights.gain_ih is None:
        return product(d.a, weights.weight_ih)
    return product(norm_backward(d.a, widen(linear(input, weights.weight_ih)), weights.gain_ih), weights.weight_ih)


def _peephole_gradient(cell: Cell, saved: Saved, d: StepGradients) -> Tensor:
    d_a_i, d_a_f, _, d_a_o = split_gates(cell, d.a)
    rows = [total(d_a_i * saved.c_prev)]  # (2)
    if d_a_f is not None:
        rows.append(total(d_a_f * saved.c_prev))  # (3)
    rows.append(total(d_a_o * saved.c_star))  # (6)
    return torch.stack(rows)


def _projection_gradient(cell: Cell, saved: Saved, d: StepGradients, weights: Weights) -> Tensor | None:
    if weights.weight_hr is None:
        return None
    normed_c = norm(saved.c_star, weights.gain_c)
    return outer(d.h_star, (saved.o * torch.tanh(normed_c)).to(weights.weight_hr.dtype))  # (7')


def hold(new: Tensor, old: Tensor, k: Tensor | float | None, alive: Tensor | None) -> Tensor:
    """Zoneout and ragged rows alike: the old value where ``k`` is 0 or the row has ended."""
    kept = new if k is None else old + k * (new - old)
    return kept if alive is None else torch.where(alive, kept, old)


def hold_backward(d: Tensor, k: Tensor | float | None, alive: Tensor | None) -> tuple[Tensor, Tensor]:
    """The derivative of :func:`hold` by new and by old."""
    d_new, d_old = (d, torch.zeros_like(d)) if k is None else (d * k, d * (1 - k))
    if alive is None:
        return d_new, d_old
    return torch.where(alive, d_new, 0.0), torch.where(alive, d_old, d)


def times(x: Tensor, mask: Tensor | None) -> Tensor:
    """Dropout: ``x * mask``, or ``x`` where no mask acts."""
    return x if mask is None else x * mask


def look(a: Tensor, p: Tensor | None, c: Tensor) -> Tensor:
    """A gate looks at the cell: ``a + p * c``, or ``a`` without peephole. The way back has the same form."""
    return a if p is None else a + p * c


def norm(x: Tensor, gain: Tensor | None) -> Tensor:
    """``LN(x) * gain``, or ``x`` without gain."""
    return x if gain is None else normalise(x) * gain


def norm_backward(d: Tensor, x: Tensor, gain: Tensor | None) -> Tensor:
    """The derivative of :func:`norm` by ``x``."""
    return d if gain is None else normalise_backward(d * gain, x)


def normalise(x: Tensor) -> Tensor:
    """Layer normalisation over the last dimension, without gain or bias."""
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + EPSILON)


def normalise_backward(d: Tensor, x: Tensor) -> Tensor:
    """The derivative of :func:`normalise` at ``x``."""
    centred = x - x.mean(-1, keepdim=True)
    scale = torch.rsqrt((centred * centred).mean(-1, keepdim=True) + EPSILON)
    normed = centred * scale
    return scale * (d - d.mean(-1, keepdim=True) - normed * (d * normed).mean(-1, keepdim=True))


def peepholes(cell: Cell, weights: Weights) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """``p_i, p_f, p_o``, each ``[H]``; None for a gate that does not look at the cell."""
    p = weights.weight_peephole
    if p is None:
        return None, None, None
    return p[0], (p[1] if cell.num_gates == 4 else None), p[-1]


def split_gates(cell: Cell, a: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """``[..., G*H]`` to ``a_i, a_f, a_g, a_o``; ``a_f`` is None in a cell with three gates."""
    if cell.num_gates == 4:
        a_i, a_f, a_g, a_o = a.chunk(4, -1)
        return a_i, a_f, a_g, a_o
    a_i, a_g, a_o = a.chunk(3, -1)
    return a_i, None, a_g, a_o


def widen(x: Tensor) -> Tensor:
    """At least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def product(d: Tensor, weight: Tensor) -> Tensor:
    """``d @ weight`` in the weight's dtype, wide again: the way back through a linear map."""
    return widen(d.to(weight.dtype) @ weight)


def outer(d: Tensor, x: Tensor) -> Tensor:
    """The derivative by the weight of a linear map of ``x``, summed over steps and rows."""
    return d.flatten(0, -2).to(x.dtype).T @ x.flatten(0, -2)


def total(d: Tensor) -> Tensor:
    """Summed over steps and rows."""
    return d.flatten(0, -2).sum(0)
