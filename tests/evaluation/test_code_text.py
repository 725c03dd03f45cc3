import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.evaluation.code_text import normalise, unfenced


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", ""),
        ("x=1", "x = 1"),
        ("x = 1  # one\n\n# two\ny=x**2\n", "x = 1\ny = x ** 2"),
        ("def f(a):\n    '''What\n    it does.'''\n    return a\n", "def f ( a ) :\n    return a"),
        ("f(\n  a,  # first\n  b)\n", "f ( a , b )"),
        ("x = [\n'a',\n'b'\n]", "x = [ 'a' , 'b' ]"),
        ("print('a  b\\n', f\"{x} %\")", "print ( 'a_b_' , f\"{x}_%\" )"),
        ('t = """a\n b"""', 't = """a_b"""'),
        ("!pip install x\n%matplotlib inline\nx = a \\\n  % b\ny = (a\n  % b)", "x = a % b\ny = ( a % b )"),
        ("if x:\n\ty = 1\r\n\tz = 2", "if x :\n\ty = 1\n\tz = 2"),
        ("x = 1.5e-3 + 0x1f + 1_000j + .5", "x = 1.5e-3 + 0x1f + 1_000j + .5"),
        ("a:=b!=c->d...e", "a := b != c -> d ... e"),
        ("'doc'\n'a'.join(b)", "'a' . join ( b )"),
        ("\fx = 1", "\fx = 1"),
        ("f(a,\ny=1\nz=2\n", "f ( a ,\ny = 1\nz = 2"),
        ("x = 'never closed\ny=2", "x = 'never closed\ny = 2"),
        ("x = '''never\nclosed", "x = '''never_closed"),
        ("x = '\ud800'", "x = '?'"),
    ],
)
def test_by_hand(code, expected):
    assert normalise(code) == expected


STATEMENTS = st.sampled_from(
    [
        "x = {'a': [1, 2,\n 3]}\n",
        "def f(x, *y):\n    '''d'''\n    return x\n",
        "if x:\n  pass\nelse:\n  y = f'{x!r:>4}'\n",
    ]
)


@given(st.lists(STATEMENTS))
def test_the_program_stays_the_same_but_for_docstrings(statements):
    code = "".join(statements)
    kept = code.replace("    '''d'''\n", "")
    assert ast.dump(ast.parse(normalise(code))) == ast.dump(ast.parse(kept))


@given(st.text(alphabet="ab1'\"\\#([{}])\n\t %=`é\x00"))
def test_any_text_has_a_form_that_stays_itself(text):
    once = normalise(text)
    assert normalise(once).split() == once.split() or any(sign in text for sign in "'\"\\")


@pytest.mark.parametrize(
    "text", ["'" * 200_000, "(" * 200_000, '"\\' * 100_000, '"""' + '""x' * 70_000, "\n" * 200_000]
)
def test_noise_takes_no_longer_than_code(text):
    started = time.process_time()
    normalise(text)
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("x = 1", "x = 1"),
        ("Here:\n```python\nx = 1\n```\nThat is it.", "x = 1\n"),
        ("```\nx = 1\n```\nor\n~~~py\nx = 1\ny = 2\n~~~", "x = 1\ny = 2\n"),
        ("```python\nx = 1\n", "x = 1\n"),
        ("```python\n```", ""),
        ("```", ""),
    ],
)
def test_the_longest_fence_counts(answer, code):
    assert unfenced(answer) == code
