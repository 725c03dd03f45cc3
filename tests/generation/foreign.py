"""Scripts as a team writes them: without sections, functions, or a configuration."""

NOTEBOOK = '''"""Rents, first try."""
import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

# %% [markdown]
# Load the table
table = np.loadtxt("rents.csv", delimiter=",", skiprows=1)
x_train, y_train = table[:, :-1], table[:, -1]

# %%
model = keras.Sequential([layers.Input(shape=(12,)), layers.Dense(64, activation="relu"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
model.fit(x_train, y_train, batch_size=32, epochs=20)
print(model.evaluate(x_train, y_train))
predictions = model.predict(x_train)
'''
TORCH = """import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x):
        return self.body(x)

loader = DataLoader(TensorDataset(torch.rand(100, 12), torch.rand(100, 1)), batch_size=16)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for x, y in loader:
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
"""
BROKEN = "def train(:\n"
