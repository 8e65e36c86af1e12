"""Levels: gradients of the losses of single pixels by what drives the waveforms of a tabulated response in levels."""

from lartpc.adjoint.pixels.refine import refine_adjoint
from lartpc.kernels.pixels.cells import CELL
from lartpc.kernels.pixels.coarsen import coarse_begin
from lartpc.kernels.runtime.launch import device, kernel

refine_window_adjoint = device(refine_adjoint.body)


@kernel("grad_source", work=("coarse", "grad_late", "grad_driven"))
def back_levels(
    i,
    pixel,
    pixel_window,
    # refine
    window_tick,
    window_first,
    window_table,
    span_tick,
    span_first,
    per_tick,
    late_first,
    late_rank,
    waveform,
    first_late,
    slow_rank,
    early,
    first_early,
    coarse_first,
    spline,
    # of all levels
    all_rank,
    far_rank,
    spline_charge,
    # to work in
    coarse,
    grad_late,
    grad_driven,
    # gradient of the waveform
    grad_waveform,
    # gradients
    grad_source,
):
    """Gradients of the loss of pixel[i], back to the charge that each function of place sees, at each site in time.

    grad_source: sites of windows in the order of spans, all_rank values a site: late functions, the one with the
    charge first, then slow ones, by splines as in `coarsen`: spline_charge. The gradient of the waveform is read on the
    pixel's windows alone.
    """
    T = type(grad_source[0])
    rank = all_rank - slow_rank
    for w in range(pixel_window[pixel[i]], pixel_window[pixel[i] + 1]):
        refine_window_adjoint(
            w,
            window_tick=window_tick,
            window_first=window_first,
            window_table=window_table,
            span_tick=span_tick,
            span_first=span_first,
            per_tick=per_tick,
            late_first=late_first,
            late_rank=late_rank,
            waveform=waveform,
            first_late=first_late,
            slow_rank=slow_rank,
            early=early,
            first_early=first_early,
            coarse_first=coarse_first,
            spline=spline,
            grad_current=grad_waveform,
            coarse=coarse,
            grad_late=grad_late,
            grad_driven=grad_driven,
        )
        span = span_first[w + 1] - span_first[w]
        for t in range(span):
            for phase in range(per_tick):
                at = ((span_first[w] + t) * per_tick + phase) * all_rank
                for r in range(rank):
                    row = far_rank if r == 0 else (r - 1 if r <= far_rank else r)
                    k = late_first[w] + (row * per_tick + phase) * span + t
                    grad_source[at + r] = grad_late[k] if row < late_rank[w] else T(0.0)
                for r in range(slow_rank):
                    total = T(0.0)
                    for j in range(3):
                        of = (coarse_begin(w, span_first) + t // CELL + j) * slow_rank + r
                        total += spline_charge[(j * per_tick + phase) * CELL + t % CELL] * grad_driven[of]
                    grad_source[at + rank + r] = total
