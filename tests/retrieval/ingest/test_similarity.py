import subprocess
import sys

from dlcodegen_local.retrieval.ingest.similarity import NEAR, SIZE, sign, similarity
from tests.retrieval.ingest.notebook_files import MODEL

TRAINING = '''
"""Train a network on digits."""
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.first = nn.Linear(784, hidden)
        self.second = nn.Linear(hidden, 10)

    def forward(self, x):
        return self.second(torch.relu(self.first(x.flatten(1))))

def train(net, loader, epochs=5):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    loss_function = nn.CrossEntropyLoss()
    for epoch in range(epochs):  # one pass each
        for images, labels in loader:
            optimizer.zero_grad()
            loss = loss_function(net(images), labels)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "loss", loss.item())
'''


def test_other_titles_numbers_comments_and_layout_change_nothing():
    edited = TRAINING.replace("digits", "letters").replace("5", "50").replace("  # one pass each", "")
    assert similarity(sign(TRAINING), sign(edited.replace("    ", "  "))) == 1.0


def test_an_edited_copy_is_near_and_another_example_is_not():
    longer = TRAINING + "\n\nnet = Net()\ntrain(net, loader)\ntorch.save(net.state_dict(), 'net.pt')\n"
    assert NEAR <= similarity(sign(TRAINING), sign(longer)) < 1.0
    assert similarity(sign(TRAINING), sign(MODEL)) < 0.2


def test_the_estimate_is_that_of_sets_of_shingles():
    words = [f"name{number}" for number in range(900)]
    a, b = sign(" ".join(words[:600])), sign(" ".join(words[300:]))
    assert abs(similarity(a, b) - 296 / 896) < 3 * (0.33 * 0.67 / SIZE) ** 0.5


def test_short_texts_count_and_long_ones_do_not():
    assert sign("f('relu')") != sign("f('tanh')")
    assert sign('f("relu")') == sign("f('relu')")
    assert sign("f('see the paper')") == sign("f('read the paper')")


def test_code_without_tokens_is_like_nothing():
    assert sign("# nothing\n") == ()
    assert similarity((), ()) == 0.0
    assert len(sign("x")) == SIZE


def test_signatures_are_the_same_in_every_process():
    program = "from dlcodegen_local.retrieval.ingest.similarity import sign; print(sign('x = f(1)')[:3])"
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert answers == {str(sign("x = f(1)")[:3])}
