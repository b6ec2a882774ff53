"""AutoKeras' `ImageClassifier`, as its documentation uses it.

- Without `epochs`: its default, up to a thousand with early stopping, is what the documentation
  recommends; the tutorial's small number is for a quick look.
- Its batch size (32), its objective (`val_loss`), its tuner and its augmentation are its defaults:
  to choose them is what it is for. The number of networks is without bound, the time is not.
- Validation images are given, so that it does not cut its own from the training images. The
  labels are one-hot, so that the columns of its networks are the categories in our order.
- Its third network starts from downloaded weights (ImageNet). Where nothing can be downloaded
  that network fails, and the search goes on.
- It would train the best network anew on all images at the end; the time is up before that.
"""

import autokeras  # type: ignore[import-not-found]
import numpy as np
from networks import Watch, answer, note_failures, seed_all  # type: ignore[import-not-found]
from race import Asked, Examples, Race, main  # type: ignore[import-not-found]

_WITHOUT_END = 10_000


def search(race: Race, examples: Examples, asked: Asked) -> None:
    """Search until the time is up."""
    seed_all(asked)
    categories = np.eye(examples.categories, dtype=np.float32)
    classifier = autokeras.ImageClassifier(
        max_trials=_WITHOUT_END, seed=asked.seed, directory=asked.work, overwrite=True
    )
    try:
        classifier.fit(
            examples.train,
            categories[examples.train_labels],
            validation_data=(examples.validation, categories[examples.validation_labels]),
            callbacks=[Watch(race)],
            verbose=0,
        )
    finally:
        note_failures(race, classifier.tuner)


if __name__ == "__main__":
    main(search, answer)
