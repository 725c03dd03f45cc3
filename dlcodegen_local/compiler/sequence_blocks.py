"""Source of the layers that Keras lacks and plans name: encoders, transformer blocks, graph convolution.

A pretrained network becomes a small one of the same kind under the name that the plan gives it: nothing is
downloaded, and the user can put the real one in its place. Projects save weights and rebuild the model from
Config, so the classes need no serialisation.
"""

from dlcodegen_local.compiler.templates import fill

_TRANSFORMER_BLOCK = '''
class $name(layers.Layer):
    """Mix the places of a sequence by self-attention, then transform each by a small dense network."""

    def __init__(self, $width_key, num_heads, $inner_key, dropout=0.1, **kwargs):
        """Take the width of the sequence, the number of heads and the inner width."""
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(num_heads, max(1, $width_key // num_heads))
        self.inner = layers.Dense($inner_key, activation="relu")
        self.outer = layers.Dense($width_key)
        self.norms = [layers.LayerNormalization(), layers.LayerNormalization()]
        self.dropout = layers.Dropout(dropout)

    def call(self, x, training=None):
        """Return a sequence of the same shape."""
        x = self.norms[0](x + self.dropout(self.attention(x, x$causal), training=training))
        return self.norms[1](x + self.dropout(self.outer(self.inner(x)), training=training))
'''

_POSITIONS = '''
class $name(layers.Layer):
    """Embed token ids and add an embedding of their places."""

    def __init__(self, sequence_length, vocab_size, embed_dim, **kwargs):
        """Take the longest sequence, the size of the vocabulary and the width."""
        super().__init__(**kwargs)
        self.tokens = layers.Embedding(vocab_size, embed_dim)
        self.places = layers.Embedding(sequence_length, embed_dim)

    def call(self, token_ids):
        """Return vectors (batch, length, embed_dim)."""
        return self.tokens(token_ids) + self.places(keras.ops.arange(token_ids.shape[-1]))
'''

_PLACE_ENCODING = '''
class $name(layers.Layer):
    """Add a learned vector of its place to every vector of a sequence."""

    def build(self, input_shape):
        """Make one vector a place."""
        shape = tuple(input_shape[1:])
        self.places = self.add_weight(shape=shape, initializer="random_normal", name="places")

    def call(self, x):
        """Return a sequence of the same shape."""
        return x + self.places
'''

_PRETRAINED = '''
class $name(layers.Layer):
    """Encode token ids by a small transformer that takes the place of the pretrained network.

    Returns one vector a token, or only the first token's where `return_sequences` is False.
    """

    def __init__(self, vocab_size, sequence_length, hidden_size, num_layers, return_sequences=True, **kwargs):
        """Take the sizes of the vocabulary, of the sequence, of the vectors, and the number of blocks."""
        super().__init__(**kwargs)
        self.return_sequences = return_sequences
        self.tokens = layers.Embedding(vocab_size, hidden_size)
        self.places = layers.Embedding(sequence_length, hidden_size)
        heads = max(1, hidden_size // 32)
        self.attention = [layers.MultiHeadAttention(heads, 32, dropout=0.1) for _ in range(num_layers)]
        self.inner = [layers.Dense(4 * hidden_size, activation="gelu") for _ in range(num_layers)]
        self.outer = [layers.Dense(hidden_size) for _ in range(num_layers)]
        self.norms = [layers.LayerNormalization() for _ in range(2 * num_layers)]

    def call(self, token_ids, training=None):
        """Return the vectors; token id 0 is padding and not attended to."""
        x = self.tokens(token_ids) + self.places(keras.ops.arange(token_ids.shape[-1]))
        mask = keras.ops.not_equal(token_ids, 0)[:, None, :]
        for index, attention in enumerate(self.attention):
            x = self.norms[2 * index](x + attention(x, x, attention_mask=mask$causal, training=training))
            x = self.norms[2 * index + 1](x + self.outer[index](self.inner[index](x)))
        return x if self.return_sequences else x[:, 0]
'''

_SENTENCE_ENCODER = '''
class $name(layers.Layer):
    """Encode a text as the mean of its words' vectors, in the place of the pretrained encoder."""

    def __init__(self, vocab_size, hidden_size, **kwargs):
        """Take the size of the vocabulary and of the vectors."""
        super().__init__(**kwargs)
        self.tokens = layers.Embedding(vocab_size, hidden_size)

    def call(self, token_ids):
        """Return vectors (batch, hidden_size); token id 0 is padding and does not count."""
        weights = keras.ops.cast(keras.ops.not_equal(token_ids, 0), "float32")[:, :, None]
        total = keras.ops.sum(self.tokens(token_ids) * weights, axis=1)
        return total / (keras.ops.sum(weights, axis=1) + 1e-6)
'''

_ATTENTION_POOLING = '''
class $name(layers.Layer):
    """Return the mean of a sequence's vectors, weighted by learned scores (additive attention)."""

    def __init__(self, units=64, **kwargs):
        """Take the width of the scoring network."""
        super().__init__(**kwargs)
        self.hidden = layers.Dense(units, activation="tanh")
        self.score = layers.Dense(1, use_bias=False)

    def call(self, x):
        """Return vectors (batch, width)."""
        weights = keras.ops.softmax(self.score(self.hidden(x)), axis=1)
        return keras.ops.sum(weights * x, axis=1)
'''

_DECODER_BLOCK = '''
class $name(layers.Layer):
    """Attend to the words so far and to a memory, then transform every place by a small dense network."""

    def __init__(self, $width_key, num_heads, $inner_key, dropout=0.1, **kwargs):
        """Take the width of the sequence, the number of heads and the inner width."""
        super().__init__(**kwargs)
        head = max(1, $width_key // num_heads)
        self.self_attention = layers.MultiHeadAttention(num_heads, head, dropout=dropout)
        self.cross_attention = layers.MultiHeadAttention(num_heads, head, dropout=dropout)
        self.inner = layers.Dense($inner_key, activation="relu")
        self.outer = layers.Dense($width_key)
        self.norms = [layers.LayerNormalization() for _ in range(3)]

    def call(self, x, memory, training=None):
        """Return a sequence of the same shape; no place sees those after it."""
        x = self.norms[0](x + self.self_attention(x, x, use_causal_mask=True, training=training))
        x = self.norms[1](x + self.cross_attention(x, memory, training=training))
        return self.norms[2](x + self.outer(self.inner(x)))
'''

_TAGS = '''
class $name(layers.Dense):
    """Score the tags of every token, in the place of a conditional random field."""
'''

_GRAPH_CONVOLUTION = '''
class $name(layers.Layer):
    """Mix every node's features with its neighbours' by the normalised adjacency, then transform them."""

    def __init__(self, units, activation=None, kernel_regularizer=None, **kwargs):
        """Take the number of new features, their activation and a regulariser of the weights."""
        super().__init__(**kwargs)
        self.dense = layers.Dense(units, activation=activation, kernel_regularizer=kernel_regularizer)

    def call(self, features, adjacency):
        """Return the new features, `units` a node."""
        return self.dense(keras.ops.matmul(adjacency, features))
'''

_KINDS = {
    "block": _TRANSFORMER_BLOCK,
    "positions": _POSITIONS,
    "place_encoding": _PLACE_ENCODING,
    "pretrained": _PRETRAINED,
    "sentence": _SENTENCE_ENCODER,
    "pooling": _ATTENTION_POOLING,
    "decoder": _DECODER_BLOCK,
    "tags": _TAGS,
    "graph": _GRAPH_CONVOLUTION,
}


def block_source(kind: str, name: str, **slots: str) -> str:
    """Return the class of one kind of layer under the name that the plan gives it."""
    defaults = {"width_key": "embed_dim", "inner_key": "ff_dim", "causal": ""}
    return fill(_KINDS[kind], **{**defaults, **slots, "name": name}).strip()
