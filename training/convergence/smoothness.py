"""Lipschitz constants of gradients: spectral norms of blocks of a Hessian."""

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh, svds

from training.arrays import Floats
from training.convergence.objectives import Product

_DENSE = 3  # ARPACK needs more rows and columns
_TOLERANCE = 1e-2
_BASIS = 10  # vectors; products cost far more than their orthogonalisation


def smoothness(product: Product, size: int, rows: slice, columns: slice) -> float:
    """Spectral norm of a block of a symmetric matrix: how fast the gradient turns at a point.

    The block of the shared weights is L_u of [WFL] eq. (19), that of the personal ones L_v of
    [WFL] eq. (21), the one between them L_uv of [WFL] eq. (20); the whole matrix is L of [CA-HFP]
    eq. (6). It is a lower bound of the constant, which is the largest over all points.

    Args:
        product: Maps a direction (n,) to its product with the matrix.
        size: Number n of rows of the matrix.
        rows: Rows of the block.
        columns: Columns of the block.

    Returns:
        The norm, within 1 %; 0 for a block without rows or columns.
    """
    high, wide = (len(range(size)[part]) for part in (rows, columns))
    if not high or not wide:
        return 0.0

    def block(direction: Floats, into: slice, out: slice) -> Floats:
        whole = np.zeros(size)
        whole[into] = direction.ravel()
        return product(whole)[out]

    operator = LinearOperator(
        (high, wide),
        matvec=lambda direction: block(direction, columns, rows),
        rmatvec=lambda direction: block(direction, rows, columns),
        dtype=np.float64,
    )
    if min(high, wide) < _DENSE:
        thin = operator if wide <= high else operator.H
        return float(np.linalg.norm(thin @ np.eye(thin.shape[1]), 2))
    start = np.random.default_rng(0).standard_normal(min(high, wide))
    basis = min(_BASIS, high, wide)
    if rows == columns:
        values = eigsh(operator, 1, v0=start, ncv=basis, tol=_TOLERANCE, return_eigenvectors=False)
        return float(abs(values[0]))
    values = svds(operator, 1, v0=start, ncv=basis, tol=_TOLERANCE, return_singular_vectors=False)
    return float(values[0])
