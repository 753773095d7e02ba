"""What of the C library's heap is in use."""

import platform

import pytest

from media import heap


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc counts its heap")
def test_what_is_held_counts_and_what_was_let_go_does_not():
    before = heap.bytes_in_use()

    held = [bytearray(5 * 1024) for _ in range(2_000)]
    holding = heap.bytes_in_use() - before
    del held

    assert 10_240_000 <= holding < 11_000_000
    assert abs(heap.bytes_in_use() - before) < 500_000
