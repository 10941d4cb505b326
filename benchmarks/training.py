"""Speed of local training against common loops, Flower and pfl; masks, sub-models and top-k.

    python benchmarks/training.py [--quick] [--parts rounds,overhead,server,masks,topk,agents]
                                  [--peers naive,lean,best,flower,pfl]
                                  [--works cnn,cnn-32,resnet20,digits-cnn,mlp,logistic]
                                  [--device cuda]
                                  [--data-root FOLDER] [--out benchmarks/results]

    rounds    seconds of a round: one local epoch on every client by SGD with momentum, then the
              mean. All methods have the same data, batches, start and hyper-parameters; each runs
              in a process of its own, in turn with the others, and the losses of the first two
              rounds are compared
    overhead  a round of the same messages without training; ours includes channel,
              allocation, cell and step
    server    [CA-HFP]'s server in a round of ten clients of VGG16 without their training: mean,
              curvature, scores and sub-models, against mean and curvature of whole vectors
    masks     a step of masked and of compact networks through the engine, layout included, one
              thread
    topk      exact masks of the largest of 15 million values
    agents    an iteration of 20 agents that learn masks of fixed weights ([MCE-PL]: a step, the
              new mask, the mean of two neighbours' masks) through the engine, against autograd with
              torch.topk, and those masks alone; one thread

Times are medians without the first round. CPU time is that of a method's processes together; on a
shared machine it is more reliable than wall-clock time. Flower and pfl have environments of their
own, which the first run creates in a cache folder (some minutes, 2.5 GB); peers that cannot be
installed are reported as absent. Each part's rows replace those of earlier runs in the table, so
that parts may run one by one. With --device cuda the rounds are those of 10 to 500 stacked clients
and of CIFAR-10's size; that has never been run.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Replace the folder of this file: there `import training` would find this file.
    sys.path[0] = str(Path(__file__).parent / "_training")
    from driver import main

    main(sys.argv[1:], __doc__)
