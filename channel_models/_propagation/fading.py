"""Small-scale fading: power of Rayleigh and Rician branches, combined at a receive array."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from wirelessfl.errors import check_choice, check_count, check_number
from wirelessfl.rng import Streams
from wirelessfl.values import Array

FADINGS = ("none", "rayleigh", "rician")
COMBININGS = ("mrc", "selection")
MOST_ANTENNAS = 4096
WAVES = 64  # scattered plane waves of the random field


def check_antennas(antennas: int) -> None:
    """Check a number of antennas.

    Args:
        antennas: Number of receive antennas.

    Raises:
        InputError: Not a whole number within the supported range.
    """
    check_count("channel.antennas", antennas)
    check_number("channel.antennas", antennas, at_most=MOST_ANTENNAS)


@dataclass(frozen=True, kw_only=True)
class Fading:
    """Small-scale fading of a receive array; the fields are keys of section `channel`.

    Each branch has power |h|^2 of mean 1 with the Rician factor K (linear; 0 is Rayleigh), h =
    sqrt(K/(K+1)) e^{j phi} + sqrt(1/(K+1)) CN(0, 1), so that 2 (K+1) |h|^2 is noncentral
    chi-squared with 2 degrees of freedom and noncentrality 2 K.

    Attributes:
        fading: `none` has |h|^2 = 1, `rayleigh` has K = 0, `rician` the given K.
        antennas: M, number of branches.
        combining: `mrc` (maximum-ratio combining) adds the branches, `selection` takes the
            strongest.
    """

    fading: Literal["none", "rayleigh", "rician"] = "rayleigh"
    antennas: int = 1
    combining: Literal["mrc", "selection"] = "mrc"

    def __post_init__(self) -> None:
        check_choice("channel.fading", self.fading, FADINGS)
        check_antennas(self.antennas)
        check_choice("channel.combining", self.combining, COMBININGS)

    def power(
        self,
        streams: Streams,
        clients: int,
        *,
        k_factor: ArrayLike | None = None,
        position_wavelengths: Array | None = None,
        block: int = 0,
    ) -> Array:
        """Draw the power relative to the path gain.

        Without positions the draw is independent in every (round, coherence block, client); with
        positions it is that of a random field there (`field_amplitudes`), the same in every round
        and block.

        Args:
            streams: Streams at the round.
            clients: K.
            k_factor: Linear Rician K factor, a number or (K,).
            position_wavelengths: Positions in wavelengths, (K, 2).
            block: Coherence block.

        Returns:
            Linear power, (K,); `mean_power` on average.
        """
        k = np.broadcast_to(self._k(k_factor), (clients,))
        if self.fading == "none":
            return self.mean_power(k)
        if position_wavelengths is not None:
            place = np.asarray(position_wavelengths, dtype=np.float64)
            branches = (
                np.abs(field_amplitudes(streams, c, self.antennas, k[c], place[c])) ** 2
                for c in range(clients)
            )
            return np.array([self._combined(branch) for branch in branches])
        stream = "fading" if block == 0 else f"fading {block}"
        return np.array(
            [
                self._independent(streams.generator(stream, client), k[client])
                for client in range(clients)
            ]
        )

    def mean_power(self, k_factor: ArrayLike | None = None) -> Array:
        """Expected power: M after maximum-ratio combining of M branches.

        Selection has 1 + 1/2 + ... + 1/M over Rayleigh branches (Brennan, 1959), an integral over
        Rician ones.

        Args:
            k_factor: Linear Rician K factor, any shape.

        Returns:
            Linear power, of the shape of `k_factor`.
        """
        k = self._k(k_factor)
        if self.combining == "mrc":
            return np.full(k.shape, float(self.antennas))
        if self.fading == "none":
            return np.ones(k.shape)
        harmonic = np.sum(1.0 / np.arange(1, self.antennas + 1))
        return (
            np.where(k > 0, _mean_of_largest(k, self.antennas), harmonic)
            if k.any()
            else np.full(k.shape, harmonic)
        )

    def quantile(self, outage: float, k_factor: ArrayLike | None = None) -> Array:
        """Power that the fading falls short of with a given probability.

        Args:
            outage: Probability within (0, 1).
            k_factor: Linear Rician K factor, any shape.

        Returns:
            Linear power, of the shape of `k_factor`.
        """
        from scipy.special import (  # slow to import, and most channels never ask
            chndtrix,
            gammaincinv,
        )

        k = self._k(k_factor)
        if self.fading == "none":
            return self.mean_power(k)
        summed = self.antennas if self.combining == "mrc" else 1
        below = outage if self.combining == "mrc" else outage ** (1.0 / self.antennas)
        rician = chndtrix(below, 2 * summed, 2 * k * summed) / (2 * (k + 1))
        return np.asarray(np.where(k > 0, rician, gammaincinv(summed, below)))

    def _k(self, k_factor: ArrayLike | None) -> Array:
        if self.fading != "rician" or k_factor is None:
            return np.zeros(np.shape(k_factor) if k_factor is not None else ())
        check_number("k_factor", np.ravel(k_factor), at_least=0)
        return np.asarray(k_factor, dtype=np.float64)

    def _independent(self, generator: np.random.Generator, k: float) -> float:
        """One draw; without a line of sight exactly NumPy's `standard_gamma(antennas)`."""
        if self.combining == "mrc":
            return generator.noncentral_chisquare(2 * self.antennas, 2 * k * self.antennas) / (
                2 * (k + 1)
            )
        return float(generator.noncentral_chisquare(2, 2 * k, self.antennas).max() / (2 * (k + 1)))

    def _combined(self, branches: Array) -> float:
        return float(branches.sum() if self.combining == "mrc" else branches.max())


def field_amplitudes(
    streams: Streams, client: int, antennas: int, k: float, place: Array
) -> np.ndarray:
    """Complex amplitudes of the random field around a client (Clarke's model).

    h(x) = sqrt(K/(K+1)) e^{j (2 pi x.u_0 + phi)} + sqrt(1/(K+1)) N^{-1/2} sum_n g_n e^{j 2 pi
    x.u_n} with directions u_n uniform on the circle and g_n ~ CN(0, 1), drawn once per (seed,
    client, branch). At any x the scattered part is exactly CN(0, 1) for every N: for any directions
    it is a sum of N independent CN(0, 1/N) with rotated phases, which does not change a CN. Over
    the draws its autocorrelation at a displacement d is E e^{j 2 pi d.u} = J0(2 pi |d|), and that
    of its power is J0^2 + (1 - J0^2) / N. The average power of one draw over positions is sum
    |g_n|^2 / N, not that over draws.

    Args:
        streams: Streams of the run.
        client: Index of the client.
        antennas: Number of branches M.
        k: Linear Rician K factor.
        place: Position in wavelengths, (2,).

    Returns:
        Amplitudes, (M,), complex.
    """
    generator = streams.at(0).generator("fading field", client)
    towards = 2 * np.pi * generator.random()
    phase = 2 * np.pi * generator.random(antennas)
    directions = 2 * np.pi * generator.random((antennas, WAVES))
    real, imaginary = generator.standard_normal((2, antennas, WAVES)) / np.sqrt(2 * WAVES)
    turned = np.exp(2j * np.pi * (place[0] * np.cos(directions) + place[1] * np.sin(directions)))
    scattered = ((real + 1j * imaginary) * turned).sum(axis=-1)
    direct = np.exp(
        1j * (2 * np.pi * (place[0] * np.cos(towards) + place[1] * np.sin(towards)) + phase)
    )
    return np.asarray(np.sqrt(k / (k + 1)) * direct + np.sqrt(1 / (k + 1)) * scattered)


def _mean_of_largest(k: Array, antennas: int) -> Array:
    """Mean of the largest of `antennas` Rician branch powers; the shape of `k`.

    It is the integral of (1 - F(r^2)^M) 2 r dr. Outside `reach` of the amplitude of the line of
    sight an amplitude falls with a probability below rounding, since P(|CN(0, s)| > t) = exp(-t^2 /
    s).
    """
    from scipy.special import chndtr

    nodes, weights = _gauss_legendre()
    direct, reach = np.sqrt(k / (k + 1)), np.sqrt((40.0 + np.log(antennas)) / (k + 1))
    low, high = np.maximum(direct - reach, 0.0), direct + reach
    amplitude = low[..., None] + (high - low)[..., None] * (nodes + 1) / 2
    below = chndtr(2 * (k + 1)[..., None] * amplitude**2, 2, 2 * k[..., None])
    inner = ((1 - below**antennas) * 2 * amplitude * weights).sum(axis=-1) * (high - low) / 2
    mean: Array = low**2 + inner
    return mean


@lru_cache(maxsize=1)
def _gauss_legendre() -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(200)
