import pytest
import torch

from wmlib.runtime.product import STEP, Product

SIZES = ((292, 1024), (257, 482))
"""Of the products in a step of the car's dream."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_product(size, dtype):
    weight = torch.randn(size)
    product = Product(weight.to(dtype), 50)
    x = torch.randn(product.rows, size[0]).to(dtype)
    for rows in (50, 17, 1):
        expected = x[:rows].double() @ weight.to(dtype).double()
        outcome = product(x, rows)
        assert outcome.dtype == dtype and outcome.shape == (rows, size[1])
        close = 1e-4 if dtype == torch.float32 else 0.5
        torch.testing.assert_close(outcome.double(), expected, rtol=0.02, atol=close)


def test_rows_that_are_read_beyond_do_no_harm_and_weights_are_copied():
    weight = torch.randn(20, 30)
    product = Product(weight, 5)
    assert product.rows == STEP
    x = torch.randn(product.rows, 20)
    expected = product(x, 5).clone()
    x[5:] = torch.nan
    weight += 1
    assert torch.equal(product(x, 5), expected)
