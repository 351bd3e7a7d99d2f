"""A server that cannot be reached: the line says why, and what to change."""

from __future__ import annotations

import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.chat_server import ChatServer, running
from helpers.fake_backend import llm, pool_of

pytest.importorskip("openai")

from ds2.base.errors import UserError
from ds2.config import RaterRuntime, ScaleConfig
from ds2.rating import by_model
from ds2.rating.raters import Ratings


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -keyout key.pem -out cert.pem -days 2 -nodes -subj /CN=127.0.0.1 "
        "-addext subjectAltName=IP:127.0.0.1"
    )
    try:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate")
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def rate(folder: Path, address: str, **options: object) -> Ratings:
    config = llm(base_url=address, runtime=RaterRuntime(timeout=20.0), **options)
    return by_model.rate(
        config, pool_of(["one"]), ScaleConfig(), model={}, revision=None, folder=folder, progress=False
    )


def test_a_certificate_that_is_not_trusted_is_named_and_can_be_trusted(tmp_path, certificate, secure):
    with running(ChatServer(), secure) as server:
        with pytest.raises(
            UserError, match=r"certificate is not trusted \(self-signed certificate\): rater.ca_file=FILE"
        ):
            rate(tmp_path, server.url)
        assert rate(tmp_path, server.url, ca_file=str(certificate[0])).ratings.tolist() == [6]


def test_http_to_https_and_back_say_what_to_write(tmp_path, secure):
    with running(ChatServer(), secure) as server:
        plain = server.url.replace("https", "http")
        with pytest.raises(UserError, match=f"if it speaks https, give rater.base_url={server.url}"):
            rate(tmp_path, plain)
    http = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{http.server_port}/v1"
    with pytest.raises(UserError, match=rf"does not speak https \(try rater.base_url=http://{address}\)"):
        rate(tmp_path, f"https://{address}")
    http.shutdown()
    http.server_close()


def test_a_dead_proxy_is_named(tmp_path, monkeypatch):
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="the proxy that HTTP_PROXY names does not answer: .*NO_PROXY"):
        rate(tmp_path, "http://192.0.2.1/v1")


def test_a_host_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no server answers at .*\(no such host: nowhere.invalid\)"):
        rate(tmp_path, "http://nowhere.invalid/v1")


def test_a_file_of_certificates_that_is_none_is_one_line(tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("not a certificate")
    for path in (wrong, tmp_path / "missing.pem"):
        with pytest.raises(UserError, match="rater.ca_file=.* cannot be read"):
            rate(tmp_path, "https://127.0.0.1:9/v1", ca_file=str(path))
