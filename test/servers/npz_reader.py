"""Prints what NumPy reads from an .npz file: dtype, shape and values of each array, as JSON."""

import json
import sys

import numpy as np

with np.load(sys.argv[1]) as file:
    said = {key: {"dtype": file[key].dtype.str, "shape": list(file[key].shape), "values": file[key].ravel().tolist()} for key in file.files}
print(json.dumps(said))
