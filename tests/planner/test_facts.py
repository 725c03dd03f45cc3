import pytest

from dlcodegen_local.planner.facts import stated_facts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Use the Adam optimizer for 20 epochs.", {"optimizer": "adam", "epochs": 20}),
        ("optimizer: SGD, learning rate of 0.01", {"optimizer": "sgd", "learning_rate": 0.01}),
        ("a learning rate = 1e-3 and batch size 64", {"learning_rate": 0.001, "batch_size": 64}),
        ("in batches of 1,024 for 5 training epochs", {"batch_size": 1024, "epochs": 5}),
        ("Lernrate 0.002, 12 Epochen", {"learning_rate": 0.002, "epochs": 12}),
        ("with binary cross-entropy loss", {"loss": "binary_crossentropy"}),
        (
            "loss function: mse; evaluation metric is F1 score",
            {"loss": "mean_squared_error", "metric": "f1 score"},
        ),
        ("optimised with RMSprop as the optimizer", {"optimizer": "rmsprop"}),
        ("between 10 epochs and 20 epochs", {}),
        ("predict the epoch of fossils from 300 pictures", {}),
        ("adam is my name; I sell 32 batches a day", {}),
        ("0 epochs, batch size 0, learning rate 0", {}),
        ("early stopping with a patience of 5 epochs", {}),
        ("a checkpoint every 5 epochs", {}),
        ("train for 10-20 epochs with a batch size 64-128", {}),
        ("10 to 20 epochs", {}),
        ("evaluation metric: root mean squared error", {"metric": "root_mean_squared_error"}),
        ("Lernrate 0,001", {"learning_rate": 0.001}),
        ("train it with Adam", {"optimizer": "adam"}),
        ("torch.optim.AdamW(model.parameters())", {"optimizer": "adamw"}),
        ("compare Adam with SGD", {}),
        ("recognise Adam's voice", {}),
        ("nn.BCEWithLogitsLoss", {"loss": "binary_crossentropy"}),
        ("criterion = nn.MSELoss()", {"loss": "mean_squared_error"}),
        ("", {}),
    ],
)
def test_only_what_is_said_counts(text, expected):
    assert dict(stated_facts(text).values) == expected


@pytest.mark.parametrize(
    ("requirement", "dataset", "image_size", "num_classes"),
    [
        ("Sort 7 kinds of nuts on 160x160 photos", "", 160, 7),
        ("images of 96 × 96 px in five different classes", "", 96, 5),
        ("image size of 64", "2,000 pictures of 512x512 pixels, 12 categories", 64, 12),
        ("10 classes or 12 classes, 32x32 or 64x64", "", None, None),
        ("one class, 4x4 boards, 99999 types", "", None, None),
        ("sort into 1,000 kinds", "", None, 1000),
        ("sort into 10000 classes", "", None, 10_000),
        ("640x480 frames", "", None, None),
        ("Sort shells", "JPEG files of 176x176 pixels in 4 disease classes", 176, 4),
        ("Sort shells", "photos of 4000x4000 pixels", None, None),
        ("Sort shells", '{"image_size": "128x128", "classes": ["round", "flat", "horn"]}', 128, 3),
        ("Sort shells", "image size: 64. num_classes: 5", 64, 5),
    ],
)
def test_sizes_count_where_one_alone_is_named(requirement, dataset, image_size, num_classes):
    sizes = stated_facts(requirement, dataset).sizes
    assert (sizes.image_size, sizes.num_classes) == (image_size, num_classes)


def test_the_dataset_text_counts_too():
    facts = stated_facts("Classify flowers.", "Trained for 7 epochs before.")
    assert dict(facts.values) == {"epochs": 7}
    assert facts.notes() == ("epochs 7 is stated in the requirement",)


@pytest.mark.parametrize(
    ("requirement", "dataset", "num_features"),
    [
        ("predict rents from 18 columns", "", 18),
        ("Pachtpreise schätzen, Tabelle mit 18 Spalten", "", 18),
        ("predict rents", '{"rows": 900, "features": 17}', 17),
        ("predict rents", "columns: 31. target: rent", 31),
        ("3 columns and 5 features", "", None),
        ("predict rents", "", None),
    ],
)
def test_columns_count_where_one_number_alone_is_named(requirement, dataset, num_features):
    assert stated_facts(requirement, dataset).sizes.num_features == num_features


@pytest.mark.parametrize(
    ("requirement", "wanted"),
    [
        ("Fine-tune torchvision resnet50 on lichens", {"layer": ("ResNet50",)}),
        ("a DenseNet-201 or an inception v3", {"layer": ("DenseNet201", "InceptionV3")}),
        ("an LSTM over 30 time steps", {"input": ("30",), "layer": ("LSTM",)}),
        ("tell 12 species of birds apart at 64x64", {"input": ("64",), "output": ("12",)}),
        ("forecast the flow 6 steps ahead", {}),
        ("sequence length 80", {"input": ("80",)}),
        ("resnetworks and lstmish things", {}),
    ],
)
def test_sizes_and_named_networks_are_wanted_in_the_texts(requirement, wanted):
    assert dict(stated_facts(requirement).wanted) == wanted
