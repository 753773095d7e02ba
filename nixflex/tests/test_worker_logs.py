import json
import logging

from celery.app.log import Logging

from accounts.logs import logging_config
from nixflex.celery import app


def test_a_worker_logs_as_the_others_do(settings, monkeypatch, capsys):
    root = logging.getLogger()
    kept = root.level, [*root.handlers]
    monkeypatch.setattr(Logging, "_setup", False)
    settings.LOGGING = logging_config(debug=False)
    try:
        app.log.setup(loglevel="WARNING")
        logging.getLogger("calls.dialling").warning("no route to %s", "+447446466847")
        logging.getLogger("calls.dialling").info("nobody reads this")
    finally:
        root.setLevel(kept[0])
        root.handlers[:] = kept[1]

    [line] = capsys.readouterr().err.splitlines()

    said = json.loads(line)
    assert (said["event"], said["level"]) == ("no route to +***", "warning")
