"""Whatever code looks like, reading its plan ends with a plan or one clear error."""

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.extraction import plan_from_code
from dlcodegen_local.plan.schema import Plan

PROGRAM = """
import torch.nn as nn, torch, keras
from torch.utils.data import DataLoader
class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])
        self.pool, self.rnn = nn.MaxPool2d(2), nn.LSTM(4, 8, num_layers=2)
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    def forward(self, x, y=None):
        for layer in self.layers:
            x = layer(x) + x
        x, _ = self.rnn(torch.cat([x, x], 1).view(x.size(0), -1))
        return self.net[0](self.pool(x)).mean((2, 3))
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
for epoch in range(3):
    for x, y in DataLoader([], batch_size=2):
        loss = nn.CrossEntropyLoss()(net(x), y)
        loss.backward()
        optimizer.step()
model = keras.Sequential([keras.layers.Dense(3)])
model.compile("adam", "mse")
model.fit(x, y, epochs=2, batch_size=8)
"""
NAMES = (
    "x",
    "self",
    "None",
    "0",
    "-1",
    "[]",
    "()",
    "{}",
    "nn.Linear",
    "Net()",
    "lambda q: q",
    "2**99",
    "1/0",
)
SWAPPED = (ast.Name, ast.Constant, ast.Call)
PLACES = len([node for node in ast.walk(ast.parse(PROGRAM)) if isinstance(node, SWAPPED)])


class _Swap(ast.NodeTransformer):
    """Put other expressions in the place of some."""

    def __init__(self, swaps: dict[int, str]) -> None:
        self.swaps = swaps
        self.place = -1

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, SWAPPED):
            self.place += 1
            if self.place in self.swaps and not isinstance(getattr(node, "ctx", None), ast.Store):
                return ast.Name(self.swaps[self.place], ast.Load())
        return super().generic_visit(node)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, PLACES), st.sampled_from(NAMES), max_size=6))
def test_code_with_anything_in_the_place_of_anything_ends_well(swaps: dict[int, str]) -> None:
    source = ast.unparse(_Swap(swaps).visit(ast.parse(PROGRAM)))
    try:
        assert isinstance(plan_from_code(source), Plan)
    except ConfigError as error:
        assert "\n" not in str(error)
