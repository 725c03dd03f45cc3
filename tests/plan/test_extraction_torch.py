"""What `plan_from_code` reads off PyTorch, on small programs in the styles that people use."""

import textwrap

import pytest

from dlcodegen_local.plan.extraction import plan_from_code
from dlcodegen_local.plan.schema import Plan

IMPORTS = """
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader
"""


def read(source: str) -> Plan:
    return plan_from_code(IMPORTS + textwrap.dedent(source))


def layers_of(module: str) -> list[str]:
    """Return the layers that one expression for a module stands for."""
    return list(read(f"model = nn.Sequential({module})\nmodel(images)\n").layers)


@pytest.mark.parametrize(
    ("module", "layers"),
    [
        ("nn.Conv2d(3, 32, 3, padding=1)", ["Conv2D(32, (3, 3), padding='same')"]),
        (
            "nn.Conv2d(3, 32, 4, 2, 1, bias=False)",
            ["Conv2D(32, (4, 4), strides=(2, 2), padding='same', use_bias=False)"],
        ),
        ("nn.Conv2d(3, 8, kernel_size=5)", ["Conv2D(8, (5, 5))"]),
        ("nn.Conv2d(8, 8, 3, padding=1, groups=8)", ["DepthwiseConv2D((3, 3), padding='same')"]),
        (
            "nn.Conv1d(4, 16, 3, padding='same', dilation=2)",
            ["Conv1D(16, 3, padding='same', dilation_rate=2)"],
        ),
        (
            "nn.ConvTranspose2d(8, 4, 4, 2, 1)",
            ["Conv2DTranspose(4, (4, 4), strides=(2, 2), padding='same')"],
        ),
        ("nn.MaxPool2d(2)", ["MaxPooling2D((2, 2))"]),
        (
            "nn.MaxPool2d(3, stride=2, padding=1)",
            ["MaxPooling2D((3, 3), strides=(2, 2), padding='same')"],
        ),
        ("nn.AdaptiveAvgPool2d((1, 1))", ["GlobalAveragePooling2D()"]),
        ("nn.LeakyReLU(0.2, inplace=True)", ["LeakyReLU(0.2)"]),
        ("nn.GELU()", ["Activation('gelu')"]),
        ("nn.LayerNorm(64)", ["LayerNormalization()"]),
        ("nn.GroupNorm(8, 64)", ["GroupNormalization(8)"]),
        ("nn.Dropout2d(p=0.3)", ["Dropout(0.3)"]),
        ("nn.Embedding(1000, 64, padding_idx=0)", ["Embedding(1000, 64)"]),
        (
            "nn.LSTM(8, 64, num_layers=2, bidirectional=True)",
            ["Bidirectional(LSTM(64, return_sequences=True))"] * 2,
        ),
        ("nn.GRU(8, 16, batch_first=True)", ["GRU(16, return_sequences=True)"]),
        ("nn.MultiheadAttention(64, 4)", ["MultiHeadAttention(num_heads=4, key_dim=16)"]),
        (
            "nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, dim_feedforward=128), num_layers=2)",
            ["TransformerEncoderLayer(d_model=64, num_heads=4, dim_feedforward=128)"] * 2,
        ),
        ("nn.Upsample(scale_factor=2)", ["UpSampling2D((2, 2))"]),
        ("nn.Unflatten(1, (128, 7, 7))", ["Reshape((7, 7, 128))"]),
        ("nn.Identity()", []),
    ],
)
def test_modules_stand_in_the_words_of_keras(module: str, layers: list[str]) -> None:
    assert layers_of(module) == layers


TRAINED_BLOCKS = """
class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.short = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return self.relu(self.norm(self.conv(x)) + self.short(x))

class Net(nn.Module):
    def __init__(self, widths=(16, 32)):
        super().__init__()
        self.head = nn.Linear(widths[-1], 10)
        self.blocks = nn.ModuleList([Block(a, b) for a, b in zip((16, *widths), widths)])
        self.stem = nn.Conv2d(3, 16, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        x = F.dropout(x.mean((2, 3)), 0.2, training=self.training)
        return self.head(x)

def train(model, epochs):
    loader = DataLoader(photos, batch_size=48, shuffle=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4, weight_decay=0.01)
    for epoch in range(epochs):
        for images, labels in loader:
            logits = model(images)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
        accuracy = (logits.argmax(1) == labels).float().mean()

train(Net().to("cpu"), epochs=9)
"""


def test_nested_blocks_stand_in_the_order_of_the_data() -> None:
    plan = read(TRAINED_BLOCKS)
    assert plan.layers == (
        "Conv2D(16, (3, 3), padding='same')",
        "ReLU()",
        "Conv2D(16, (3, 3), padding='same')",
        "BatchNormalization()",
        "Add()",
        "ReLU()",
        "Conv2D(32, (3, 3), padding='same')",
        "BatchNormalization()",
        "Conv2D(32, (1, 1))",
        "Add()",
        "ReLU()",
        "GlobalAveragePooling2D()",
        "Dropout(0.2)",
        "Dense(10)",
    )
    assert plan.dataset_input == "(batch_size, height, width, 3)"
    assert plan.dataset_output == "(batch_size, 10)"


def test_a_training_loop_gives_every_hyperparameter() -> None:
    plan = read(TRAINED_BLOCKS)
    assert (plan.optimizer, plan.learning_rate) == ("adamw", 2e-4)
    assert (plan.loss, plan.metric) == ("sparse_categorical_crossentropy", "accuracy")
    assert (plan.batch_size, plan.epochs) == (48, 9)
    assert plan.category == "Image Classification"


def test_modules_are_chosen_by_the_configuration() -> None:
    plan = read(
        """
        class Config:
            optimizer: str = "rmsprop"
            loss: str = "mae"
            learning_rate: float = 0.005
            batch_size: int = 12
            epochs: int = 3

        OPTIMIZERS = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
        LOSSES = {"mse": nn.MSELoss, "mae": nn.L1Loss}

        def train(config):
            model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
            optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.learning_rate)
            loss_function = LOSSES[config.loss]()
            for epoch in range(config.epochs):
                for x, y in DataLoader(rows, batch_size=config.batch_size):
                    loss_function(model(x), y).backward()
                    optimizer.step()

        train(Config())
        """
    )
    assert (plan.optimizer, plan.loss) == ("rmsprop", "mean_absolute_error")
    assert (plan.learning_rate, plan.batch_size, plan.epochs) == (0.005, 12, 3)
    assert plan.layers == ("Dense(16)", "Activation('tanh')", "Dense(1)")


def test_both_players_of_an_adversarial_game_stand_in_the_order_of_their_use() -> None:
    plan = read(
        """
        generator = nn.Sequential(nn.Linear(64, 784), nn.Tanh())
        discriminator = nn.Sequential(nn.Linear(784, 1), nn.Sigmoid())
        optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=0.0002, betas=(0.5, 0.999))
        optimizer_g = torch.optim.Adam(generator.parameters(), lr=0.0002, betas=(0.5, 0.999))
        for epoch in range(5):
            fake = generator(torch.randn(16, 64))
            loss = F.binary_cross_entropy(discriminator(fake.detach()), zeros)
            loss.backward()
            optimizer_d.step()
        """
    )
    assert plan.layers == ("Dense(784)", "Activation('tanh')", "Dense(1)", "Activation('sigmoid')")
    assert (plan.loss, plan.learning_rate, plan.epochs) == ("binary_crossentropy", 0.0002, 5)
    assert plan.category == "Image Generation"


def test_a_lightning_module_trains_itself() -> None:
    plan = read(
        """
        import pytorch_lightning as pl

        class Forecaster(pl.LightningModule):
            def __init__(self, units=32, lr=0.01):
                super().__init__()
                self.save_hyperparameters()
                self.rnn = nn.LSTM(4, units, batch_first=True)
                self.out = nn.Linear(units, 1)

            def forward(self, x):
                steps, _ = self.rnn(x)
                return self.out(steps[:, -1])

            def training_step(self, batch, index):
                x, y = batch
                return F.mse_loss(self(x), y)

            def configure_optimizers(self):
                return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)

        trainer = pl.Trainer(max_epochs=15)
        trainer.fit(Forecaster(), DataLoader(windows, batch_size=20))
        """
    )
    assert plan.layers == ("LSTM(32)", "Dense(1)")
    assert (plan.loss, plan.optimizer, plan.learning_rate) == ("mean_squared_error", "adam", 0.01)
    assert (plan.batch_size, plan.epochs) == (20, 15)


def test_a_pretrained_architecture_is_followed_by_its_new_head() -> None:
    plan = read(
        """
        from torchvision import models
        model = models.resnet18(weights=None)
        for weight in model.parameters():
            weight.requires_grad = False
        model.fc = nn.Linear(model.fc.in_features, 5)
        optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        """
    )
    assert plan.layers == ("ResNet18(weights=None)", "Dense(5)")


def test_an_ordered_dict_and_a_shared_pooling_count_at_each_place() -> None:
    plan = read(
        """
        from collections import OrderedDict

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.pool = nn.MaxPool2d(2)
                self.first = nn.Sequential(OrderedDict([("conv", nn.Conv2d(1, 4, 3)), ("act", nn.ReLU())]))
                self.second = nn.Conv2d(4, 8, 3)
                self.fc = nn.Linear(8, 2)

            def forward(self, x):
                x = self.pool(self.first(x))
                skip = self.pool(F.relu(self.second(x)))
                x = torch.cat([skip, skip], dim=1)
                return F.log_softmax(self.fc(x.view(x.size(0), -1)), dim=1)
        """
    )
    assert plan.layers == (
        "Conv2D(4, (3, 3))",
        "ReLU()",
        "MaxPooling2D((2, 2))",
        "Conv2D(8, (3, 3))",
        "ReLU()",
        "MaxPooling2D((2, 2))",
        "Concatenate()",
        "Flatten()",
        "Dense(2)",
        "Activation('log_softmax')",
    )


def test_what_only_measures_is_no_layer() -> None:
    plan = read(
        """
        model = nn.Sequential(nn.Linear(4, 3))
        optimizer = torch.optim.Adam(model.parameters())
        criterion = nn.NLLLoss()
        for epoch in range(2):
            scores = F.log_softmax(model(x), dim=1)
            loss = criterion(scores, y) + criterion(scores, z)
            loss.backward()
            optimizer.step()
        """
    )
    assert plan.layers == ("Dense(3)",)
    assert (plan.loss, plan.learning_rate) == ("sparse_categorical_crossentropy", 0.001)


def test_a_module_with_weights_of_its_own_stands_under_its_name() -> None:
    plan = read(
        """
        class GraphConvolution(nn.Module):
            def __init__(self, inputs, outputs):
                super().__init__()
                self.weight = nn.Parameter(torch.empty(inputs, outputs))

            def forward(self, x, adjacency):
                return adjacency @ (x @ self.weight)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = GraphConvolution(8, 16), GraphConvolution(16, 3)

            def forward(self, x, adjacency):
                return self.second(F.relu(self.first(x, adjacency)), adjacency)
        """
    )
    assert plan.layers == ("GraphConvolution()", "ReLU()", "GraphConvolution()")


def test_a_trainer_of_pretrained_models_brings_its_own_loop() -> None:
    plan = read(
        """
        from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments
        model = AutoModelForSequenceClassification.from_pretrained("models/encoder", num_labels=2)
        arguments = TrainingArguments(
            "out", learning_rate=3e-5, per_device_train_batch_size=4, num_train_epochs=6
        )
        Trainer(model=model, args=arguments, train_dataset=letters).train()
        """
    )
    assert plan.layers == ("AutoModelForSequenceClassification('models/encoder')",)
    assert (plan.optimizer, plan.loss) == ("adamw", "sparse_categorical_crossentropy")
    assert (plan.learning_rate, plan.batch_size, plan.epochs) == (3e-5, 4, 6)
    assert plan.category == "Text Classification"


def test_a_loop_of_while_counts_its_epochs() -> None:
    plan = read(
        """
        model = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        epoch = 0
        while epoch < 11:
            F.smooth_l1_loss(model(x), y).backward()
            optimizer.step()
            epoch += 1
        """
    )
    assert (plan.epochs, plan.loss, plan.layers) == (11, "huber", ("Dense(1)",))


@pytest.mark.parametrize(
    ("taken", "expected"),
    [("h[:, -1]", "LSTM(8)"), ("h[:, -1, :]", "LSTM(8)"), ("h", "LSTM(8, return_sequences=True)")],
)
def test_the_last_step_of_a_recurrent_layer_is_one_vector(taken, expected):
    code = f"""
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 8, batch_first=True)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.head({taken})

model = Net()
"""
    assert plan_from_code(code).layers == (expected, "Dense(1)")
