import logging
import logging.config

import pytest

from accounts.logs import logging_config


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
