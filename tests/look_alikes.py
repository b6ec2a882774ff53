"""Images that look alike, and the looking that otherwise a batch processor does when idle."""

from commons.adapters.clock import SystemClock
from sensory_service.adapters.appearance_tables import AppearanceTables
from sensory_service.app import Settings, create_platform
from sensory_service.looking import Looker
from tests.builders import encoded
from tests.unit.test_appearance import scene
from tests.web_house import Front


def upload_copies(front: Front, *categories: str | None) -> None:
    """Store three copies of one picture in the dataset `pets`, and another picture.

    Args:
        front: The services.
        categories: The label of each of the four; none where there are too few.
    """
    whole = scene(1)
    pictures = [
        encoded(whole),
        encoded(whole, "JPEG", quality=70),
        encoded(whole.resize((64, 64))),
        encoded(scene(2)),
    ]
    labels = [*categories, None, None, None, None]
    for number, (data, label) in enumerate(zip(pictures, labels, strict=False)):
        front.sensory.upload("pets", [(f"{number}.png", data)], label)


def look_at_all(front: Front) -> None:
    """Look at every image of a house once."""
    platform = create_platform(Settings(data=front.data), SystemClock())
    looker = Looker(AppearanceTables(platform.database), platform.blobs, SystemClock())
    while looker.look():
        pass
    platform.database.dispose()
