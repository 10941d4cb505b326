"""Local response normalisation against torch and finite differences."""

import pytest
import torch
import torch.nn.functional as F

from training.models._response_norm import response_norm


def _images(channels, memory_format=torch.contiguous_format, dtype=torch.float32):
    images = 3.0 * torch.randn(
        3, channels, 4, 5, generator=torch.Generator().manual_seed(1), dtype=dtype
    )
    return images.to(memory_format=memory_format).requires_grad_()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 9, 64])
@pytest.mark.parametrize("alpha", [2e-5, 1e-4, 0.7])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_torch(channels, alpha, memory_format):
    images = _images(channels, memory_format)
    expected, found = (
        F.local_response_norm(images, 4, alpha=alpha, beta=0.75),
        response_norm(images, alpha),
    )
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=1e-6)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(2))
    (mine,), (theirs,) = (torch.autograd.grad(made, images, weights) for made in (found, expected))
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=2e-6)


def test_the_gradient_is_that_of_finite_differences():
    images = _images(6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: response_norm(x, 0.7), (images,))


def test_autocast_does_not_round_the_divisor():
    images = _images(8)
    exact = response_norm(images, 0.7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(response_norm(images, 0.7), exact)
        halves = response_norm(images.bfloat16(), 0.7)
    assert halves.dtype == torch.float32
    halves.sum().backward()
    torch.testing.assert_close(halves, exact, rtol=0.02, atol=0.02)
    assert images.grad is not None


def test_shapes_without_numbers():
    assert response_norm(torch.zeros(2, 5, 3, 3, device="meta"), 1e-4).shape == (2, 5, 3, 3)
