import pytest
import torch

from gatewise.kernels import contract


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def nan_filled_memory(monkeypatch):
    """Kernels get memory full of NaN: whatever they forget to fill shows."""
    monkeypatch.setattr(contract, "filled_with", float("nan"))
