"""lstrip takes letters away, not a prefix."""

KINDS = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}


def our_name(name):
    *path, last = name.lstrip("bert/").split("/")
    if last in ("adam_m", "adam_v", "global_step"):
        return None
    ours = ".".join(path).replace("layer_", "layer.")
    if last in KINDS:
        return f"{ours}.{KINDS[last]}"
    return f"{ours}.{last}.weight"  # a table


def translate(arrays):
    found = {}
    for name, array in arrays.items():
        ours = our_name(name)
        if ours is None:
            continue
        if ours in found:
            raise ValueError(f"{name} would be a second {ours}")
        found[ours] = array.T if name.endswith("/kernel") else array
    return found
