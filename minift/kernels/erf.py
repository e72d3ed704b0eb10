"""The error function, which NumPy lacks, from Cody's rational approximations.

W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969):
one ratio of polynomials for small |x|, one for exp(x²)·erfc(x) beyond. Computed in float64:
the absolute error is below 1e-15 there, and is only the final rounding in float32.
"""

from __future__ import annotations

from minift.backend import Array, device_of, xp

# Coefficients from the highest power down to the constant.
SMALL_TOP = (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2,
             3.77485237685302021e2, 3.20937758913846947e3)  # fmt: skip
SMALL_BOTTOM = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
                2.84423683343917062e3)  # fmt: skip
LARGE_TOP = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594,
             6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2,
             1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3)  # fmt: skip
LARGE_BOTTOM = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
                1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3,
                3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip
SMALL = 0.46875  # where the first approximation ends
ONE = 6.0  # beyond, 1 − erf(x) < 3e-17


def polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule; coefficients from the highest power down."""
    y = xp(x).full_like(x, coefficients[0])
    for c in coefficients[1:]:
        y *= x
        y += c
    return y


def erf(x: Array) -> Array:
    """2/√π ∫₀ˣ exp(−t²) dt, for a float array of any shape; same dtype out."""
    if device_of(x) == "cuda":
        import cupyx.scipy.special

        return cupyx.scipy.special.erf(x)
    m = xp(x)
    dtype, x = x.dtype, x.astype(m.float64)
    small = m.minimum(m.abs(x), SMALL)
    z = small * small
    below = small * polynomial(SMALL_TOP, z) / polynomial(SMALL_BOTTOM, z)
    large = m.clip(m.abs(x), SMALL, ONE)
    tail = polynomial(LARGE_TOP, large) / polynomial(LARGE_BOTTOM, large)
    above = 1 - m.exp(-large * large) * tail
    return m.copysign(m.where(m.abs(x) <= SMALL, below, above), x).astype(dtype)
