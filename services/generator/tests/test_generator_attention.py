"""Attention by torch's kernels, on this machine's GPU where there is one, is attention as it is written down."""

import pytest
import torch
from plumbline_generator.attention import attend, attend_plainly

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NEAR = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}


@pytest.mark.parametrize("dtype", NEAR, ids=str)
@pytest.mark.parametrize(("rows", "queries", "places"), [(1, 1, 1), (2, 3, 7), (5, 4, 192), (1, 33, 100)])
@pytest.mark.parametrize("kind", ["all", "masked", "causal"])
def test_kernels_do_what_is_written(dtype: torch.dtype, rows: int, queries: int, places: int, kind: str) -> None:
    torch.manual_seed(0)
    heads, width = 2, 16
    query = torch.randn(rows, heads, queries, width)
    key, value = (torch.randn(rows, heads, places + 3, width)[:, :, :places] for _ in range(2))
    if kind == "causal":
        key, value = key[:, :, :queries], value[:, :, :queries]
        query = query[:, :, : key.shape[2]]
    query, key, value = (part.to(DEVICE, dtype) for part in (query, key, value))
    mask = None
    if kind == "masked":
        unseen = torch.arange(places) > torch.arange(rows)[:, None]
        mask = torch.zeros(rows, places).masked_fill(unseen, float("-inf"))[:, None, None].to(DEVICE, dtype)
    found = attend(query, key, value, 0.3, mask=mask, causal=kind == "causal")
    expected = attend_plainly(query.float(), key.float(), value.float(), 0.3, mask=mask, causal=kind == "causal")
    assert found[0].dtype == dtype and found[1].shape == query.shape[:3]
    torch.testing.assert_close(found[0].float(), expected[0], rtol=NEAR[dtype], atol=NEAR[dtype])
    torch.testing.assert_close(found[1].float(), expected[1], rtol=NEAR[dtype], atol=NEAR[dtype])
