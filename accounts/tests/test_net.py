"""The corpus: what must never be contacted, and how what may be is."""

import asyncio
import contextlib
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from accounts import net
from accounts.tests.loopback import Handler, serving
from conftest import PATIENCE_S


@dataclass
class Server:
    port: int
    seen: list[dict[str, str]] = field(default_factory=list)


@contextlib.contextmanager
def running_server(*, status=200, headers=(), body=b"{}", slow_s=0.0, tls=None) -> Iterator[Server]:
    """An HTTP server on loopback that notes what asked it."""

    class Told(Handler):
        def answer(self) -> None:
            server.seen.append(
                {
                    "method": self.command,
                    "path": self.path,
                    "host": self.headers["Host"],
                    "body": self.body().decode(),
                }
            )
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                if slow_s:
                    for byte in body:  # a byte at a time: no single read is late
                        self.wfile.write(bytes([byte]))
                        released.wait(slow_s)
                else:
                    self.wfile.write(body)

        do_GET = do_POST = answer

    released = threading.Event()
    with serving(Told, tls=tls) as port:
        server = Server(port)
        try:
            yield server
        finally:
            released.set()


@pytest.fixture
def names(monkeypatch) -> dict[str, list[list[str]]]:
    """What the name service answers, one list of addresses for each time it is asked."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name not in known:
            return real(host, port, *args, **kwargs)
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in known[name].pop(0)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "127.1",
    "017700000001",
    "0177.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.10",
    "100.64.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[fd12:3456::1]",
    "localhost",
]
NEVER = [
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[::169.254.169.254]",
    "169.254.170.2",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata",
    "0.0.0.0",
    "0",
    "[::]",
    "255.255.255.255",
    "224.0.0.1",
    "[ff02::1]",
    "[fec0::1]",
    "240.0.0.1",
    "198.18.0.1",
    "[2002:7f00:1::]",
]
TRANSLATED_PRIVATE = ["[64:ff9b::7f00:1]", "[64:ff9b::a00:1]"]


@pytest.mark.parametrize("host", [*PRIVATE, *NEVER, *TRANSLATED_PRIVATE])
def test_no_spelling_of_an_inner_address_is_asked(host):
    with running_server() as server, pytest.raises(net.Forbidden):
        net.request("POST", f"https://{host}:{server.port}/", content=b"{}")

    assert server.seen == []


@pytest.mark.parametrize("host", NEVER)
def test_metadata_and_odd_addresses_stay_refused_where_private_ones_are_allowed(host, settings):
    settings.OUTBOUND_ALLOW_PRIVATE = True

    with pytest.raises(net.Forbidden):
        net.request("GET", f"http://{host}/latest/meta-data/")


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.8", "::1", "fe80::1"])
def test_a_name_is_refused_if_any_of_its_addresses_is(address, names):
    names["both.example.com"] = [["93.184.216.34", address]]

    with pytest.raises(net.Forbidden):
        net.request("GET", "https://both.example.com/")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https:///nowhere",
        "https://example.com:0/",
        "https://example.com:99999/",
        "no url",
        "",
    ],
)
def test_only_https_with_a_host_is_asked(url):
    with pytest.raises(net.Forbidden):
        net.request("GET", url)


def test_a_name_that_moves_is_asked_at_the_address_that_was_checked(names, settings):
    settings.OUTBOUND_ALLOW_PRIVATE = True
    names["moves.example.com"] = [["127.0.0.1"], ["169.254.169.254"]]

    with running_server() as server:
        answer = net.request(
            "POST", f"http://moves.example.com:{server.port}/hook?a=1", content=b'{"n":1}'
        )

    assert (answer.status, answer.content) == (200, b"{}")
    assert server.seen == [
        {
            "method": "POST",
            "path": "/hook?a=1",
            "host": f"moves.example.com:{server.port}",
            "body": '{"n":1}',
        }
    ]
    assert names["moves.example.com"] == [["169.254.169.254"]]  # asked once


def test_a_redirect_inwards_is_an_answer_and_not_followed(settings):
    settings.OUTBOUND_ALLOW_PRIVATE = True

    with running_server() as inner:
        there = ("Location", f"http://127.0.0.1:{inner.port}/secret")
        with running_server(status=302, headers=[there]) as outer:
            answer = net.request("GET", f"http://127.0.0.1:{outer.port}/")

    assert answer.status == 302
    assert len(outer.seen) == 1
    assert inner.seen == []


def test_an_answer_longer_than_allowed_is_refused_and_one_not_wanted_is_not_read(settings):
    settings.OUTBOUND_ALLOW_PRIVATE = True

    with running_server(body=b"x" * 2000) as server:
        url = f"http://127.0.0.1:{server.port}/"
        with pytest.raises(net.RequestFailed, match="answer too long"):
            net.request("GET", url, at_most=1999)
        whole = net.request("GET", url, at_most=2000)
        none = net.request("GET", url, at_most=0)

    assert len(whole.content) == 2000
    assert (none.status, none.content) == (200, b"")


def test_a_compressed_answer_is_not_unpacked(settings):
    settings.OUTBOUND_ALLOW_PRIVATE = True

    with (
        running_server(headers=[("Content-Encoding", "gzip")]) as server,
        pytest.raises(net.RequestFailed, match="compressed"),
    ):
        net.request("GET", f"http://127.0.0.1:{server.port}/")


def test_the_time_out_is_for_all_of_it_however_the_bytes_drip(settings):
    settings.OUTBOUND_ALLOW_PRIVATE = True

    with running_server(body=b"x" * 1_000, slow_s=0.05) as server:  # for 50 s
        began = time.monotonic()
        with pytest.raises(net.RequestFailed, match="time-out"):
            net.request("GET", f"http://127.0.0.1:{server.port}/", timeout_s=0.2)
        took = time.monotonic() - began

    assert took < 25.0


def test_nobody_listening_and_no_such_name_are_failures_with_a_name(settings, names):
    settings.OUTBOUND_ALLOW_PRIVATE = True
    names["empty.example.com"] = [[]]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(net.RequestFailed, match="connection"):
            net.request("GET", f"http://127.0.0.1:{port}/")
    with pytest.raises(net.RequestFailed, match="unknown host"):
        net.request("GET", "https://empty.example.com/")


def test_the_certificate_is_checked_for_the_name_and_not_the_address(
    tmp_path, monkeypatch, names, settings
):
    settings.OUTBOUND_ALLOW_PRIVATE = True
    certificate = certificate_for("hooks.example.com", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    net._tls.cache_clear()
    names["hooks.example.com"] = names["other.example.com"] = [["127.0.0.1"], ["127.0.0.1"]]
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(certificate, tmp_path / "key.pem")

    with running_server(tls=here) as server:
        answer = net.request("GET", f"https://hooks.example.com:{server.port}/")
        with pytest.raises(net.RequestFailed, match="TLS"):
            net.request("GET", f"https://other.example.com:{server.port}/")
    net._tls.cache_clear()

    assert answer.status == 200
    assert [one["host"] for one in server.seen] == [f"hooks.example.com:{server.port}"]


@pytest.mark.parametrize("url", ["https://example.com/hook", "https://example.com:8443/a?b=c"])
def test_a_public_https_address_has_no_problem(url):
    assert net.url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com", "not https"),
        ("https://127.0.0.1/", "a private address"),
        ("https://[fe80::1]/", "a metadata address"),
        ("https://0.0.0.0/", "not a public address"),
        ("https://", "no host"),
    ],
)
def test_a_problem_is_told_in_words(url, why):
    assert net.url_problem(url) == f"must be an https URL that others can reach: {why}."


def certificate_for(name: str, folder: Path) -> Path:
    """Write a self-signed certificate and ``key.pem``; return the certificate's path."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_names_whose_server_is_silent_hold_up_nobody_elses(monkeypatch):
    silent, loop = threading.Event(), asyncio.get_running_loop()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: silent.wait(PATIENCE_S))
    asked = [
        asyncio.create_task(net.arequest("GET", f"https://silent{n}.example", timeout_s=PATIENCE_S))
        for n in range(100)
    ]
    await asyncio.sleep(0)  # each has asked

    try:
        async with asyncio.timeout(PATIENCE_S / 2):
            assert await loop.run_in_executor(None, str, "the speech service") != ""
    finally:
        silent.set()
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
