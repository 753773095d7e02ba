import pytest
import responses


@pytest.fixture
def telco():
    """The carrier's REST answers, which ``twilio_side`` adds to. Any other request fails."""
    with responses.mock as mock:
        yield mock
