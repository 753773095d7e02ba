"""The demo's own view of the API, where something is wrong with it."""

import pytest

from conftest import reserved_ports
from demo.api import Api, DemoFailed
from demo.sandbox import SandboxView


def test_a_server_that_ended_is_a_word_on_what_to_do_and_no_traceback(settings):
    with reserved_ports() as port:  # nobody listens there
        settings.PUBLIC_URL = f"http://127.0.0.1:{port}"

        with pytest.raises(DemoFailed) as web:
            Api("nxf_1:nxfs_2").get("/agents")
        with pytest.raises(DemoFailed) as sandbox:
            SandboxView(settings.PUBLIC_URL)

    assert str(web.value).startswith(
        f"GET http://127.0.0.1:{port}/v1/agents: no answer (ConnectError)."
    )
    assert str(sandbox.value).startswith(
        f"GET http://127.0.0.1:{port}/_sandbox/journal: no answer (ConnectError)."
    )
