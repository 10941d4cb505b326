"""Milliseconds of a local step of all clients with full gradients, for stacked runs, beside a loop
with autograd.

    python benchmarks/convex.py --data-root FOLDER [--quick] [--repeats 7] [--out
    benchmarks/results]

BlogFeedback, 554 clients, one thread: a round of so many local steps from a common start with
control variates, by `training.convex` for 1, 8 and 32 runs at once, without a prox, with exact TopK
(28 of 281) and with soft thresholding after every step. `autograd loop` is what a user would write,
for one run: for every client, step by step, the loss in torch, `backward`, the step, the prox.
`rows`, `Gram` and `low rank` are NumPy loops over clients that take one gradient through A_i,
through A_i^T A_i and through its eigenvectors. The logistic rows are 100 writers of MNIST. What is
compared gives the same numbers. Times are medians over interleaved repeats, by the clock of the
process (`cpu_ms`) and of the wall (`wall_ms`), each per run and step of all clients.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # The folder of this file must go: in it `import training` would find another file, not the
    # package.
    sys.path[0] = str(Path(__file__).parent / "_convex")
    from measure import main

    main(sys.argv[1:], __doc__)
