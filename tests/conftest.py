import pytest
import torch

from gatewise.kernels import contract

# Small tensors everywhere: a second thread gains nothing, and on a busy machine waiting for it takes most of the time.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def nan_filled_memory(monkeypatch):
    """Kernels get memory full of NaN: whatever they forget to fill shows."""
    monkeypatch.setattr(contract, "filled_with", float("nan"))
