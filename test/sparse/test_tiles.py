"""The product in registers against gathering and multiplying."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.sparse import conv, tiles


@given(
    count=st.integers(tiles.LEAST_ROWS, 40),
    around=st.integers(1, 9),
    channels=st.integers(1, 40),
    columns=st.sampled_from((16, 24, 32, 48, 64, 72)),
    seed=st.integers(0, 1000),
)
def test_same_as_gathering(count, around, channels, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(11, channels, generator=generator)
    rows = torch.randint(0, 12, (count, around), generator=generator, dtype=torch.int32)
    matrix = torch.randn(around * channels, columns, generator=generator)
    found = torch.full((count, columns), torch.nan)
    nothing = torch.zeros(channels)
    tiles.tiled_product(*(t.numpy() for t in (x, nothing, rows, matrix, found)))
    padded = torch.cat([x, nothing[None]])
    torch.testing.assert_close(found, padded[rows.long()].flatten(1) @ matrix, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(5, 16), (100, 8), (100, 20), (0, 16)])
def test_other_shapes_do_not_fit(rows, columns):
    assert not tiles.fits(rows, columns)


def test_number_of_threads_does_not_matter():
    x, matrix = torch.randn(50, 24), torch.randn(27 * 24, 24)
    rows = torch.randint(0, 51, (40, 27), dtype=torch.int32)  # 50: absent
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, conv.FEW_THREADS + 1):
            torch.set_num_threads(count)
            found.append(conv.gather_product(x, rows, matrix))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-3)
