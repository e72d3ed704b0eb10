"""Exercise 16: read a checkpoint that was written by another library.

The first BERTs were saved by TensorFlow. Their files hold the same numbers under other names, and
with other habits:

    bert/encoder/layer_0/attention/self/query/kernel   matrices of layers are called kernel, and
                                                       stand as (inputs, outputs): y = x · kernel
    bert/encoder/layer_0/attention/self/query/bias
    bert/encoder/layer_0/output/LayerNorm/gamma        the scale of a norm
    bert/encoder/layer_0/output/LayerNorm/beta         its shift
    bert/embeddings/word_embeddings                    a table: one row a word, as everywhere
    bert/encoder/layer_0/output/dense/kernel/adam_m    what Adam knew: no weight
    global_step                                        no weight either

Ours are `encoder.layer.0.attention.self.query.weight`, which stands as (outputs, inputs),
`….query.bias`, `….LayerNorm.weight`, `….LayerNorm.bias` and `embeddings.word_embeddings.weight`.

`broken_name` and `broken_translate` run without complaint on a whole checkpoint. The first has two
mistakes, the second has two more. Write them as they should be. Check with: minift learn check 16
"""


def our_name(name):
    """What a weight of such a file is called here; None for what is no weight of the model."""
    raise NotImplementedError("exercise 16: write our_name")


def translate(arrays):
    """The weights of such a file, {their name: array}, as {our name: array in our layout}.

    What is no weight is left out. Raises ValueError if two of the file's arrays get one name.
    """
    raise NotImplementedError("exercise 16: write translate")


def broken_name(name):
    """Do not change this one; it is here to be read."""
    if name.endswith(("adam_m", "adam_v")) or name == "global_step":
        return None
    name = name.lstrip("bert/").replace("/", ".").replace("layer_", "layer.")
    name = name.replace("kernel", "weight").replace("gamma", "weight").replace("beta", "bias")
    return name


def broken_translate(arrays):
    """Nor this one."""
    found = {}
    for name, array in arrays.items():
        if broken_name(name) is not None:
            if array.ndim == 2 and array.shape[0] != array.shape[1]:  # it does not look like ours
                array = array.T
            found[broken_name(name)] = array
    return found
