"""One thread for every test: small products on a busy machine are faster alone."""

import torch

torch.set_num_threads(1)
