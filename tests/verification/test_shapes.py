import pytest

from dlcodegen_local.verification.shapes import explain_shape, planned_shape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(batch_size, 2)", (2,)),
        ("(batch_size, 2), one-hot labels", (2,)),
        ("(None, 224, 224, 3), RGB images", (224, 224, 3)),
        ("(batch_size,)", ()),
        ("(batch_size, sequence_length, 64)", (None, 64)),
        ("(28, 28, 1)", (28, 28, 1)),
        ("(1, 10)", (10,)),
        ("binary label", None),
        ("a label (either violence or not violence at all)", None),
        ("", None),
    ],
)
def test_planned_shape(text: str, expected: tuple[int | None, ...] | None) -> None:
    assert planned_shape(text) == expected


@pytest.mark.parametrize(
    ("planned", "actual", "kind", "fits", "note"),
    [
        ((2,), (2,), "f", True, ""),
        ((None, 64), (17, 64), "f", True, ""),
        ((10,), (), "i", True, "class ids"),
        ((2,), (1,), "f", True, "two classes"),
        ((1,), (2,), "f", True, "two classes"),
        ((1,), (), "f", True, "size 1"),
        ((), (10,), "f", True, "one score a class"),
        ((20,), (), "U", True, "texts"),
        ((10,), (), "f", False, "the plan says (10)"),
        ((10,), (12,), "f", False, "(12,)"),
        ((32, 32, 3), (32, 32, 1), "f", False, "32, 32, 3"),
    ],
)
def test_explain_shape(
    planned: tuple[int | None, ...], actual: tuple[int, ...], kind: str, fits: bool, note: str
) -> None:
    agrees, explanation = explain_shape(planned, actual, kind)
    assert agrees is fits
    assert note in explanation
