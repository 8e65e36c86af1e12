"""What looks for modules finds them at any depth."""

import sys

from enumeration import kernels_of, modules_of

KERNEL = '''from lartpc.kernels.runtime.launch import kernel


@kernel("out")
def planted(i, out):
    """out = 1."""
    out[i] = 1.0
'''


def test_a_kernel_two_levels_deep_is_found(tmp_path, monkeypatch):
    deep = tmp_path / "house_of_tests" / "room" / "corner"
    deep.mkdir(parents=True)
    for folder in (deep, deep.parent, deep.parent.parent):
        (folder / "__init__.py").write_text("")
    (deep / "planted.py").write_text(KERNEL)
    monkeypatch.syspath_prepend(tmp_path)
    import house_of_tests

    assert [kernel.name for kernel in kernels_of(house_of_tests)] == ["planted"]
    assert "house_of_tests.room.corner.planted" in [module.__name__ for module in modules_of(house_of_tests)]
    for name in [name for name in sys.modules if name.startswith("house_of_tests")]:
        del sys.modules[name]
