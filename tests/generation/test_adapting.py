from dataclasses import replace

import pytest

from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.generation.adapting import adapt
from dlcodegen_local.generation.drafting import header_for
from dlcodegen_local.generation.following import by_ability, follow
from dlcodegen_local.generation.labels import ONE_HOT, SINGLE, WHOLE, label_loss, with_labels
from dlcodegen_local.generation.plan_layers import with_layers_of, with_scaling_of
from dlcodegen_local.generation.plan_values import complete_fields, differs_in_size
from dlcodegen_local.generation.results import Floor
from dlcodegen_local.generation.syntax import config_defaults, parse_module
from dlcodegen_local.run_inputs import floor_of
from dlcodegen_local.sections import Sections
from tests.generation.scripts import OTHER_PLAN, PLAN, TABLE, PooledSample, section

FLOOR = Floor(compile_plan(OTHER_PLAN), OTHER_PLAN)
FLOOR_MODEL = section(FLOOR.source, "model")
CHAIN = '''def build_model(config):
    """Return the model."""
    inputs = keras.layers.Input(shape=(4,))
    x = keras.layers.Normalization()(inputs)
    x = keras.layers.Dense(8)(x)
    x = keras.layers.Dense(4)(x)
    outputs = keras.layers.Dense(1)(x)
    model = keras.Model(inputs, outputs)
    model.compile(loss=config.loss, metrics=[config.metric])
    return model'''


def test_a_sample_takes_on_the_layers_and_values_of_a_plan():
    adapted = adapt(Sections.parse(TABLE), PLAN, OTHER_PLAN, FLOOR)
    assert set(adapted.origins) == {"config", "model"} and set(adapted.origins.values()) == {"+plan"}
    assert "keras.layers.Dropout(0.5)" in adapted.sections.bodies["model"]
    assert "Return the model." in adapted.sections.bodies["model"]
    assert config_defaults(adapted.sections.bodies["config"])["num_classes"] == 5
    assert adapted.fits and not adapted.is_tied


def test_a_chain_of_calls_takes_on_other_layers():
    filled = with_layers_of(CHAIN, FLOOR_MODEL)
    assert filled is not None and parse_module(filled) is not None
    assert "Normalization()(inputs)" in filled and "outputs = keras.layers.Dense(config.num_classes" in filled
    assert "Dense(8)" not in filled and "keras.layers.Dropout(0.5)(x)" in filled


def test_layers_of_several_lines_are_indented_as_where_they_come_to():
    wide = FLOOR_MODEL.replace("layers.Dropout(0.5)", "layers.Dropout(\n                0.5,\n            )")
    filled = with_layers_of(CHAIN, wide)
    assert filled is not None and "    x = keras.layers.Dropout(\n        0.5,\n    )(x)\n" in filled


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = keras.layers.Normalization()(inputs)", "x = backbone(inputs)"),
        ("return model", "model.extra = x\n    return model"),
        ("keras.Model(inputs, outputs)", "Network(config)"),
    ],
)
def test_a_model_of_another_kind_is_not_filled(old, new):
    assert with_layers_of(CHAIN.replace(old, new), FLOOR_MODEL) is None


def test_where_the_model_cannot_be_filled_the_floor_s_stands_in_with_what_the_others_call():
    own = "def shape(rows):\n    return rows\n\n\ndef build_model(config):\n    return Network(config)"
    source = TABLE.replace(section(TABLE, "model"), own).replace("np.asarray(x)", "shape(x)")
    adapted = adapt(Sections.parse(source), PLAN, OTHER_PLAN, FLOOR)
    assert adapted.origins["model"] == "compiler, *"
    assert adapted.sections.bodies["model"].startswith("def shape(rows)")
    assert "Network" not in adapted.sections.bodies["model"]


def test_the_floor_s_model_scales_as_the_sample_s_did():
    scaled = with_scaling_of(FLOOR_MODEL, "keras.layers.Rescaling(1.0 / 255),")
    assert "layers.Rescaling(1.0 / 255)," in scaled and parse_module(scaled) is not None
    assert with_scaling_of(FLOOR_MODEL, CHAIN) == FLOOR_MODEL


def test_one_hot_labels_become_numbers():
    bodies = {
        "data": "batches = load(folder, label_mode='categorical')  # one-hot labels\n"
        "y = tf.one_hot(labels, 3)",
        "evaluate": "truth = labels.numpy().argmax(axis=1)\nfound = model.predict(x).argmax(axis=1)",
    }
    whole = with_labels(bodies, ONE_HOT, WHOLE)
    expected = 'batches = load(folder, label_mode="int")  # labels as whole numbers\ny = labels'
    assert whole is not None and whole["data"] == expected
    assert whole["evaluate"] == "truth = labels.numpy()\nfound = model.predict(x).argmax(axis=1)"
    single = with_labels(bodies, ONE_HOT, SINGLE)
    assert single is not None and "(model.predict(x) > 0.5).astype(int).ravel()" in single["evaluate"]
    assert with_labels(bodies, SINGLE, ONE_HOT) is None
    assert with_labels({"data": "x = 1"}, ONE_HOT, WHOLE) is None
    assert with_labels(bodies, WHOLE, WHOLE) == {}


def test_the_likelihood_of_the_true_class_is_read_off_one_probability():
    evaluate = "likelihood = answers[np.arange(len(labels)), labels]"
    bodies = {"evaluate": evaluate, "predict": '"""Return class probabilities (rows, num_classes)."""'}
    single = with_labels(bodies, WHOLE, SINGLE)
    expected = "likelihood = np.where(labels == 1, answers[:, 0], 1.0 - answers[:, 0])"
    assert single is not None and single["evaluate"] == expected
    assert single["predict"] == '"""Return the probability of the second class (rows, 1)."""'


def test_a_script_is_headed_by_what_it_does_not_by_who_wants_it():
    assert header_for("We would like to tell cats from dogs.", "") == '"""Tell cats from dogs.\n"""'
    assert header_for("I want cats to be told from dogs", "") == '"""I want cats to be told from dogs.\n"""'


@pytest.mark.parametrize(
    ("loss", "last", "category", "form"),
    [
        (WHOLE, 'Dense(3, activation="softmax")]', "", WHOLE),
        (SINGLE, 'Dense(2, activation="softmax")]', "", ONE_HOT),
        (SINGLE, 'Dense(2, activation="sigmoid")]', "", ONE_HOT),
        (SINGLE, 'Dense(8, activation="sigmoid")(x)\nDense(1, activation="sigmoid")(x)\n', "", SINGLE),
        ("bce_dice", 'Conv2D(1, 1, activation="sigmoid")(x)\n', "", SINGLE),
        ("mse", 'Dense(1, activation="sigmoid")]', "Image Classification", SINGLE),
        ("mse", 'Dense(1, activation="sigmoid")]', "Image Regression", "mean_squared_error"),
    ],
)
def test_what_labels_are_is_told_by_loss_and_answer(loss, last, category, form):
    assert label_loss(f'class Config:\n    loss: str = "{loss}"', last, category) == form


def test_rows_get_a_channel_where_the_plan_s_first_layer_needs_one_and_no_further_axis():
    listed = section(TABLE, "model")
    signals = FLOOR_MODEL.replace("shape=(config.num_features,)", "shape=(9, 1)")
    filled = with_layers_of(listed, signals)
    assert filled is not None and filled.index("Input(") < filled.index("Reshape((-1, 1))") < filled.index(
        "Dense("
    )
    assert "Reshape" not in (with_layers_of(listed, FLOOR_MODEL) or "Reshape")
    assert with_layers_of(listed, signals.replace("(9, 1)", "(9, 9, 3)")) is None


def test_a_field_that_may_be_none_can_be_given_on_the_command_line():
    config = "class Config:\n    size: int = 1\n\ndef read(field):\n    add(type=field.type, default=1)"
    other = "class Config:\n    weights: str | None = None\n    size: int = 1"
    completed, names = complete_fields(config, frozenset({"weights", "size"}), [other])
    assert names == ("weights",) and "type=field.type if callable(field.type) else str," in completed
    assert (
        complete_fields(config, frozenset({"weights"}), ['class Config:\n    weights: str = ""'])[0].count(
            "callable"
        )
        == 0
    )


def test_labels_of_0_and_1_stay_under_a_plan_of_two_classes():
    """They get the loss that fits them, and one answer: two would need one-hot labels."""
    one = ("Dense(16, activation='relu')", "Dense(1, activation='sigmoid')")
    plan = replace(OTHER_PLAN, loss=ONE_HOT, dataset_output="(batch_size,), two classes", layers=one)
    own = section(TABLE, "model").replace(
        'config.num_classes, activation="softmax"', '1, activation="sigmoid"'
    )
    source = TABLE.replace(section(TABLE, "model"), own).replace(f'"{WHOLE}"', f'"{SINGLE}"')
    adapted = adapt(Sections.parse(source), PLAN, plan, floor_of(plan, "keras"))
    assert config_defaults(adapted.sections.bodies["config"])["loss"] == SINGLE
    assert 'Dense(1, activation="sigmoid")' in adapted.sections.bodies["model"]
    assert adapted.fits and any("labels are 0 and 1" in note for note in adapted.notes)
    assert not adapt(
        Sections.parse(source), PLAN, plan, replace(floor_of(plan, "keras"), single_source="")
    ).fits


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".fit(x, y", ".get_layer('rows').fit(x, y"),
        ("history =", "model.layers[0].adapt(x)\n    history ="),
        ("return Network(config)", "return Network(config, layers.Input(()), layers.Input(()))"),
        ("return Network(config)", "return Network(config, keras.losses.Huber(delta=2))"),
    ],
)
def test_a_sample_that_asks_more_than_any_model_gives_does_not_fit(old, new):
    own = "def build_model(config):\n    inputs = layers.Input(())\n    return Network(config)"
    source = TABLE.replace(section(TABLE, "model"), own)
    source = source.replace("build_model(config).fit", "model.fit")
    source = source.replace("    history =", "    model = build_model(config)\n    history =")
    assert adapt(Sections.parse(source), PLAN, OTHER_PLAN, FLOOR).fits
    assert not adapt(Sections.parse(source.replace(old, new)), PLAN, OTHER_PLAN, FLOOR).fits


def test_blocks_and_settings_of_layers_that_went_go_too():
    block = "def block(x, config):\n    return narrow(x, config.width)\n\n\n"
    block += "def narrow(x, n):\n    return x[:n]\n\n\n"
    own = block + section(TABLE, "model").replace("keras.Sequential(", "block(").replace("[\n", "list_of(")
    own = own.replace("        ]\n", "        )\n")
    source = TABLE.replace(section(TABLE, "model"), own).replace(
        "num_classes: int", "width: int = 9\n    num_classes: int"
    )
    bodies = adapt(Sections.parse(source), PLAN, OTHER_PLAN, FLOOR).sections.bodies
    assert "block" not in bodies["model"] and "narrow" not in bodies["model"]
    assert "width" not in bodies["config"] and "num_classes: int = 5" in bodies["config"]


def test_few_synthetic_samples_show_every_one_of_many_classes():
    source = TABLE.replace(
        "    np.save(", "    print(config.synthetic_samples, config.num_classes)\n    np.save("
    )
    plan = replace(OTHER_PLAN, dataset_output="(batch_size, 40), class probabilities")
    adapted = adapt(Sections.parse(source), PLAN, plan, floor_of(plan, "keras"))
    assert "print(max(config.synthetic_samples, config.num_classes)," in adapted.sections.bodies["data"]


def test_a_sample_that_enlarges_images_does_not_follow_a_plan_that_keeps_their_size():
    image = replace(PLAN, dataset_input="(batch_size, 40, 40, 3)", dataset_output="(batch_size, 120, 120, 3)")
    kept = replace(image, dataset_output="(batch_size, 40, 40, 3)")
    assert (
        differs_in_size(image, kept) and not differs_in_size(kept, kept) and not differs_in_size(image, PLAN)
    )


def test_the_sample_that_can_follow_the_plan_comes_first():
    stranger = TABLE.replace('"sparse_categorical_crossentropy"', '"huber"')
    samples = [PooledSample("numbers", stranger), PooledSample("classes", TABLE)]
    followers = [follow(sample, "Classify rows", OTHER_PLAN, FLOOR) for sample in samples]
    assert by_ability(followers) == [1, 0]
    best = followers[1]
    assert best is not None and best.is_able
    assert best.provenance["model"] == "sample:classes+plan" and best.bases["train"] == "sample:classes"
    assert by_ability([None, best]) == [0, 1]
    assert follow(replace(samples[0], source="x = 1"), "", OTHER_PLAN, FLOOR) is None


def test_a_sample_whose_synthetic_rows_have_fixed_columns_follows_no_plan_of_others():
    fixed = Sections.parse(TABLE.replace("np.zeros((config.num_features,))", "np.zeros((4,))"))
    assert not adapt(fixed, PLAN, OTHER_PLAN, FLOOR).fits
    assert adapt(Sections.parse(TABLE), PLAN, OTHER_PLAN, FLOOR).fits
