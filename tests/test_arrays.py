"""Arrays come back from their file bit for bit; codes that follow time take less room than by bzip2."""

import bz2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harness.store.arrays import read_arrays, write_arrays

KINDS = st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64, np.float16, np.float32, np.bool_])


@given(arrays(KINDS, array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)))
def test_any_array_comes_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    write_arrays(path, {"a": values, "b.c": values[None, None]})
    read = read_arrays(path)
    assert list(read) == ["a", "b.c"]
    for again, own in ((read["a"], values), (read["b.c"], values[None, None])):
        assert (again.dtype, again.shape) == (own.dtype, own.shape)
        assert again.tobytes() == own.tobytes()


@pytest.mark.parametrize("classes", [1, 20, 300])
def test_classes_of_any_number_come_back(classes, tmp_path):
    rng = np.random.default_rng(classes)
    for kind in (np.uint8, np.int16):
        values = rng.integers(0, 200, (3, 2, classes, 7)).astype(kind)
        write_arrays(tmp_path / "a.npz", {"a": values})
        np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz")["a"], values)


def test_codes_that_follow_time_take_less_room(tmp_path):
    rng = np.random.default_rng(0)
    common = np.cumsum(rng.normal(0, 20, (100, 2, 1, 150)), -1)  # as a snippet's highest logit moves all classes
    codes = np.rint(common + rng.integers(0, 100, (20, 1)) + rng.normal(0, 2, (100, 2, 20, 150))) % 256
    write_arrays(tmp_path / "a.npz", {"depth": codes.astype(np.uint8)})
    assert (tmp_path / "a.npz").stat().st_size < 0.8 * len(bz2.compress(codes.astype(np.uint8).tobytes()))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_earlier_versions_are_read(save, tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)
    save(tmp_path / "a.npz", **{"cas.depth": values})
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz")["cas.depth"], values)


def test_a_damaged_part_is_no_other_array(tmp_path):
    write_arrays(tmp_path / "a.npz", {"a": np.arange(1000, dtype=np.uint8)})
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[len(content) // 2 - 40] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(Exception, match=r"CRC|Bad|[Cc]orrupt"):
        read_arrays(tmp_path / "a.npz")
