"""One thread a test: small tensors gain nothing from more, and busy machines lose a lot."""

import os

import torch

if "OMP_NUM_THREADS" not in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
    torch.set_num_threads(1)
