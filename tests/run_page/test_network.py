"""A plan's layers as a network: branches, joins, skips and repeats."""

from dlcodegen_local.run_page.network import find_folds, read_network


def reads(layers):
    """Return every block as kind and the kinds of what it reads, dashed connections in brackets."""
    blocks = read_network(layers)
    return [
        (
            block.kind,
            [blocks[source].kind for source in block.reads],
            [(blocks[source].kind, blocks[source].arguments) for source in block.inferred],
        )
        for block in blocks
    ]


def test_what_leaves_the_shape_alone_joins_the_block_before():
    blocks = read_network(
        ["Input(shape=(8, 8, 3))", "Conv2D(4, 3)", "BatchNormalization()", "ReLU()", "Dropout(0.2)"]
    )
    assert [block.kind for block in blocks] == ["Input", "Conv2D"]
    assert blocks[1].after == ("BatchNormalization", "ReLU", "Dropout(0.2)")
    assert blocks[1].shape == (6, 6, 4)


def test_two_inputs_are_two_branches_that_a_concatenation_joins():
    layers = [
        "Input(shape=(4,))", "Dense(8)", "Input(shape=(3,))", "Dense(2)", "Concatenate()", "Dense(1)",
    ]  # fmt: skip
    assert reads(layers) == [
        ("Input", [], []),
        ("Dense", ["Input"], []),
        ("Input", [], []),
        ("Dense", ["Input"], []),
        ("Concatenate", ["Dense", "Dense"], []),
        ("Dense", ["Concatenate"], []),
    ]
    assert read_network(layers)[4].shape == (10,)


def test_inputs_named_first_are_read_in_their_order():
    blocks = read_network(
        ["Input(shape=(16, 8))", "Input(shape=(5,))", "LSTM(4)", "Embedding(9, 2)", "Dot(axes=1)"]
    )
    assert [(block.kind, block.reads) for block in blocks] == [
        ("Input", ()), ("LSTM", (0,)), ("Input", ()), ("Embedding", (2,)), ("Dot", (1, 3)),
    ]  # fmt: skip


def test_a_network_of_two_parts_stays_two_parts():
    generator = ["Input(shape=(4,))", "Dense(12)", "Reshape((2, 2, 3))"]
    discriminator = ["Input(shape=(2, 2, 3))", "Flatten()", "Dense(1)"]
    blocks = read_network(generator + discriminator)
    assert [block.reads for block in blocks] == [(), (0,), (1,), (), (3,), (4,)]


def test_u_net_concatenations_read_the_block_of_their_size():
    layers = [
        "Input(shape=(8, 8, 1))", "Conv2D(2, 3, padding='same')", "MaxPooling2D(2)",
        "Conv2D(4, 3, padding='same')", "MaxPooling2D(2)", "Conv2D(8, 3, padding='same')",
        "UpSampling2D(2)", "Concatenate()", "UpSampling2D(2)", "Concatenate()",
    ]  # fmt: skip
    found = [(kind, inferred) for kind, _, inferred in reads(layers) if kind == "Concatenate"]
    assert found == [
        ("Concatenate", [("Conv2D", "4, 3, padding='same'")]),
        ("Concatenate", [("Conv2D", "2, 3, padding='same'")]),
    ]
    assert [block.shape for block in read_network(layers)][-1] == (8, 8, 14)


def test_a_residual_sum_reads_what_its_block_began_from():
    block = ["Conv2D(4, 3, padding='same')", "ReLU()", "Conv2D(4, 3, padding='same')", "Add()", "ReLU()"]
    blocks = read_network(["Input(shape=(8, 8, 3))", "MaxPooling2D(2)", "Conv2D(4, 1)", *block, *block])
    first, second = (place for place, found in enumerate(blocks) if found.kind == "Add")
    assert blocks[second].inferred == (first,)
    assert blocks[first].inferred == (2,)


def test_a_strided_projection_stands_beside_its_block():
    layers = [
        "Input(shape=(8, 8, 3))", "Conv2D(4, 1, strides=2)", "Conv2D(4, 3, strides=2, padding='same')",
        "Conv2D(4, 3, padding='same')", "Add()",
    ]  # fmt: skip
    assert [block.reads for block in read_network(layers)] == [(), (0,), (0,), (2,), (1, 3)]
    assert read_network(layers)[-1].shape == (4, 4, 4)


def test_equal_embeddings_stand_side_by_side():
    blocks = read_network(["Input(shape=(5,))", "Embedding(50, 8)", "Embedding(50, 8)", "Embedding(9, 8)"])
    assert [(block.kind, block.times) for block in blocks] == [
        ("Input", 1),
        ("Embedding", 2),
        ("Embedding", 1),
    ]
    assert blocks[2].reads == (0,)


def test_repeats_fold_on_one_branch_only():
    chain = read_network(["Input(shape=(8, 4))", *["LSTM(4, return_sequences=True)", "Dense(4)"] * 3])
    assert [(fold.start, fold.end, fold.times) for fold in find_folds(chain)] == [(1, 3, 3)]
    twins = read_network(["Input(shape=(4,))", "Dense(8)", "Input(shape=(4,))", "Dense(8)", "Concatenate()"])
    assert find_folds(twins) == ()


def test_prose_is_kept_as_it_stands():
    blocks = read_network(["some magic happens here", "Dense(2)"], (3,))
    assert [block.kind for block in blocks] == ["Input", "", "Dense"]
    assert blocks[1].arguments == "some magic happens here" and blocks[2].shape is None


def test_a_plan_without_an_input_begins_with_what_the_dataset_gives():
    assert read_network(["Dense(4)"], (7,))[1].shape == (4,)
    stated = read_network(["Conv2D(4, 3, input_shape=(8, 8, 3))"], None)
    assert [block.shape for block in stated] == [(8, 8, 3), (6, 6, 4)]
    assert read_network([]) == ()
