import logging
import logging.config

import pytest

from accounts.logs import logging_config, without_numbers


@pytest.mark.parametrize("debug", [True, False])
def test_a_traceback_shows_neither_local_variables_nor_numbers(debug: bool):
    formatter = logging.config.DictConfigurator(logging_config(debug=debug))
    line = formatter.configure_formatter(formatter.config["formatters"]["line"])
    secret = "nxfs_" + "0" * 64
    try:
        raise ValueError(f"no route to +447446466847 ({len(secret)})")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "failed", None, (type(error), error, None)
        )
        record.exc_info = (type(error), error, error.__traceback__)

    said = line.format(record)

    assert "no route to +*** (69)" in said
    assert secret not in said


@pytest.mark.parametrize(
    "path",
    [
        "/v1/people/+447446466847",
        "/v1/people/%2B447446466847",
        "/v1/people/ 447446466847",
        "/v1/people/447446466847",
    ],
)
def test_a_path_keeps_its_number_to_itself_however_a_client_wrote_it(path: str):
    logged = without_numbers(None, "", {"event": f"Not Found: {path}", "waited": 447446466847})

    assert logged == {"event": "Not Found: /v1/people/+***", "waited": 447446466847}


def test_an_id_in_a_path_stays():
    event = {"event": "Not Found: /v1/calls/call_44744646684 /1234567890abcdef"}

    assert without_numbers(None, "", dict(event)) == event
