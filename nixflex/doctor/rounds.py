"""All checks in the order in which one stands on another."""

from collections.abc import Iterator

from nixflex.doctor import door, house, services
from nixflex.doctor.finding import Finding


def findings() -> Iterator[Finding]:
    """Yield each finding as it is made. Where database or Valkey are away, what needs them is left
    out; every question has a time-out."""
    yield (database := house.database())
    yield (valkey := house.valkey())
    if valkey.is_well:
        yield from house.processes()
    yield house.disk()
    yield from door.public_address()
    models = services.agents_models() if database.is_well else set()
    yield from services.speech_and_model(models)
    if database.is_well:
        yield from services.carrier()
