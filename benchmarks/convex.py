"""Time of a local step of all clients with full gradients, batched runs and autograd loop.

    python benchmarks/convex.py --data-root FOLDER [--quick] [--repeats 7]
                                [--out benchmarks/results]

BlogFeedback, 554 clients, one thread: a round of 1 to 100 local steps from a common start with
control variates, by `training.convex` for 1, 8 and 32 runs at once, without a prox, with exact TopK
(28 of 281) and with soft thresholding after every step. `autograd loop` is what a user would write,
for one run: for every client, step by step, the loss in torch, `backward`, the step, the prox.
`rows`, `Gram` and `low rank` are NumPy loops over clients that take one gradient through A_i,
through A_i^T A_i and through its eigenvectors. The logistic rows are 100 writers of MNIST. Compared
methods give the same numbers. Times are medians over interleaved repeats, of CPU time (`cpu_ms`)
and wall-clock time (`wall_ms`), each per run and step of all clients.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Replace the folder of this file: there `import training` would find a file of that name.
    sys.path[0] = str(Path(__file__).parent / "_convex")
    from measure import main

    main(sys.argv[1:], __doc__)
