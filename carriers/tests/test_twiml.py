from carriers import twiml


def test_a_stream_carries_its_token_as_a_parameter_and_comes_back_afterwards():
    document = twiml.connect_stream(
        media_url="wss://v.test/media/", token="abc", then_url="https://v.test/voice/?a=1&b=2"
    )

    assert document == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect>'
        '<Stream url="wss://v.test/media/"><Parameter name="t" value="abc" /></Stream></Connect>'
        '<Redirect method="POST">https://v.test/voice/?a=1&amp;b=2</Redirect></Response>'
    )


def test_an_inbound_call_may_ring_before_it_is_answered():
    document = twiml.connect_stream(media_url="wss://v.test/", token="t", then_url="/", ring_s=10)

    assert document.index('<Pause length="10" />') < document.index("<Connect>")


def test_words_are_escaped():
    assert "<Say>A &lt; B</Say><Hangup />" in twiml.say_and_hang_up("A < B")


def test_busy_is_a_reject():
    assert '<Reject reason="busy" />' in twiml.reject_busy()
