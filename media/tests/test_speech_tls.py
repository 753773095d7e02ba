"""Sockets to the speech service over TLS, with a certificate of our own."""

import ipaddress
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from media import speech_tls
from media.tests.providers_side import Providers
from media.voice_sockets import connect

HOW = ("aura-2-thalia-en", None)


def certify(path: Path) -> None:
    """Write a certificate for 127.0.0.1, and its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@pytest.fixture
async def service(settings, tmp_path: Path) -> AsyncIterator[Providers]:
    """The speech service, with a certificate of its own in ``tmp_path / "service.pem"``."""
    certify(tmp_path / "service.pem")
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_cert_chain(tmp_path / "service.pem")
    side = Providers()
    side.server = TestServer(side.server.app, host="127.0.0.1", scheme="https")
    await side.server.start_server(ssl=certificate)
    settings.DEEPGRAM_API_URL, settings.DEEPGRAM_API_KEY = side.url, "key"
    speech_tls.context.cache_clear()
    yield side
    speech_tls.context.cache_clear()
    await side.server.close()


async def test_sockets_to_the_speech_service_share_one_tls_context(service, tmp_path, monkeypatch):
    made: list[ssl.SSLContext] = []
    make = ssl.create_default_context

    def count(*args: Any, **options: Any) -> ssl.SSLContext:
        made.append(make(*args, **options))
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", count)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "service.pem"))

    sockets = [await connect(HOW)]
    before = list(made)
    sockets += [await connect(HOW) for _ in range(3)]

    assert len(service.voices) == 4
    assert speech_tls.context() in before
    assert made == before
    for socket in sockets:
        await socket.aclose()


async def test_a_certificate_that_nobody_vouches_for_is_refused(service):
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(HOW)

    assert service.voices == []
