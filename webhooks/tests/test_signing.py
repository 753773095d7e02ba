import json
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from agents.tests.outside import official_sdk
from webhooks.signing import legacy_signature, new_secret, standard_headers

sdk = official_sdk()
BODY = b'{"event":"call.completed","call_id":"CA123"}'


def test_the_legacy_signature_is_the_documented_vector():
    signature = legacy_signature("nxfs_testsecret_0123456789abcdef", 1755300000, BODY)

    assert signature == (
        "t=1755300000,v1=8244940dd2d19c8d603cfd55b40de1cd94b98de4aca1f56b98cdd5f44ea98031"
    )


def test_the_official_sdk_verifies_it_and_nothing_else():
    now = int(time.time())
    signature = legacy_signature("nxfs_abc", now, BODY)

    assert sdk.verify_webhook_signature(BODY, signature, "nxfs_abc")
    assert not sdk.verify_webhook_signature(BODY + b" ", signature, "nxfs_abc")
    assert not sdk.verify_webhook_signature(BODY, signature, "nxfs_abd")
    assert not sdk.verify_webhook_signature(BODY, signature, "nxfs_abc", now=now + 301)


def test_a_standard_webhooks_library_verifies_the_other():
    secret = new_secret()
    headers = standard_headers([secret], "evt_1", int(time.time()), BODY)

    assert Webhook(secret).verify(BODY, headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_while_secrets_overlap_either_verifies():
    old, new = new_secret(), new_secret()
    headers = standard_headers([new, old], "evt_1", int(time.time()), BODY)

    assert Webhook(old).verify(BODY, headers)
    assert Webhook(new).verify(BODY, headers)
