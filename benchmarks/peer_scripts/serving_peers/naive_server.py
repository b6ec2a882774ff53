"""The first thing that works: a Flask view that asks Keras' `predict` for every request."""

import io
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from flask import Flask, Response, jsonify, request
from PIL import Image

_HEIGHT, _WIDTH, _CHANNELS = map(int, os.environ["SERVED_SHAPE"].split("x"))
_TOP = 3

app = Flask(__name__)
network = keras.saving.load_model(Path(os.environ["SERVED_NETWORK"]) / "network.keras")


@app.post("/classify")
def classify() -> Response:
    """Answer one image."""
    sent = Image.open(io.BytesIO(request.get_data()))
    image = sent.convert("L" if _CHANNELS == 1 else "RGB").resize((_WIDTH, _HEIGHT))
    pixels = np.asarray(image, np.float32).reshape(1, _HEIGHT, _WIDTH, _CHANNELS)
    row = network.predict(pixels, verbose=0)[0]
    best = np.argsort(-row)[:_TOP]
    said = [{"category": f"category {i}", "probability": float(row[i])} for i in best]
    return jsonify({"answers": said})


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
