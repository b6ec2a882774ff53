"""TLS at the front: from a mounted certificate, found anew at a reload."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.installation import free_port
from tests.dicebox_processes import until
from tests.nginx_site import Site, run_script, started_site
from tests.servers import missing_program

pytestmark = pytest.mark.integration

OPENSSL = shutil.which("openssl")
PATH = "/api/sensory/v1/datasets"
HALF_A_YEAR_S = 15_768_000


def make_certificate(folder: Path, name: str = "localhost") -> None:
    """Make a certificate and its key as docs/operations.md says."""
    if OPENSSL is None:
        missing_program("openssl")
    folder.mkdir(exist_ok=True)
    made = [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    whose = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
    subprocess.run([*made, *files, *whose], check=True, capture_output=True)


class Secured:
    """A front with a certificate, seen at its TLS port."""

    def __init__(self, site: Site, port: int) -> None:
        self.site = site
        self.port = port

    @property
    def certificate(self) -> str:
        return ssl.get_server_certificate(("127.0.0.1", self.port))

    def client(self) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=self.site.folder / "tls" / "cert.pem")
        return httpx.Client(base_url=f"https://127.0.0.1:{self.port}", verify=trusted)

    def accepts(self, *options: str) -> bool:
        """Say whether a client with these options of `openssl s_client` comes to terms."""
        command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{self.port}", *options]
        ended = subprocess.run(command, input=b"", capture_output=True, timeout=20, check=False)
        return ended.returncode == 0 and b"BEGIN CERTIFICATE" in ended.stdout


@pytest.fixture(params=["no"])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Secured]:
    folder, port = tmp_path / "nginx", free_port()
    folder.mkdir()
    make_certificate(folder / "tls")
    settings = {
        "listen_https": f"127.0.0.1:{port}",
        "https_port": port,
        "plain_http": request.param,
        "hsts_s": HALF_A_YEAR_S,
    }
    with started_site(folder, **settings) as site:
        yield Secured(site, port)


def test_with_a_certificate_requests_go_by_tls_and_plain_ones_are_sent_there(secured):
    with secured.client() as client:
        reply = client.get(PATH)
        assert reply.json()["headers"]["X-Forwarded-Proto"] == "https"
        assert reply.headers["Strict-Transport-Security"] == f"max-age={HALF_A_YEAR_S}"
        assert client.get("/").headers["Content-Security-Policy"].startswith("default-src 'none'")
    plain = secured.site.http.post(f"{PATH}?split=test", content=b"picture")
    assert plain.status_code == 308
    assert plain.headers["Location"] == f"https://127.0.0.1:{secured.port}{PATH}?split=test"
    assert "Strict-Transport-Security" not in plain.headers
    assert not any(method == "POST" for _, method, _ in secured.site.stubs["sensory_service"].asked)
    # Swarm asks for health without TLS.
    assert secured.site.http.get("/healthz").status_code == 200
    until(lambda: '"tls":"TLSv1.3"' in secured.site.log())


@pytest.mark.parametrize("secured", ["yes"], indirect=True)
def test_plain_requests_are_taken_beside_tls_where_that_is_asked_for(secured):
    assert secured.site.http.get(PATH).status_code == 200
    with secured.client() as client:
        assert client.get(PATH).status_code == 200


def test_old_protocols_and_ciphers_without_forward_secrecy_are_refused(secured):
    assert secured.accepts("-tls1_3")
    assert secured.accepts("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
    assert not secured.accepts("-tls1_2", "-cipher", "AES128-GCM-SHA256")
    assert not secured.accepts("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA")
    assert not secured.accepts("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")


def test_http2_is_spoken(secured):
    command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{secured.port}", "-alpn", "h2"]
    ended = subprocess.run(command, input=b"", capture_output=True, timeout=20, check=True)
    assert b"ALPN protocol: h2" in ended.stdout


def test_a_new_certificate_is_served_after_a_reload_and_a_broken_one_never(secured):
    first = secured.certificate
    make_certificate(secured.site.folder / "tls", "renewed.example")
    assert secured.certificate == first
    assert secured.site.run("reload").returncode == 0
    until(lambda: secured.certificate != first)
    second = secured.certificate
    (secured.site.folder / "tls" / "cert.pem").write_text("no certificate")
    refused = secured.site.run("reload")
    assert refused.returncode == 1
    assert "cert.pem" in refused.stderr
    assert secured.certificate == second


def test_half_a_certificate_is_named(tmp_path):
    make_certificate(tmp_path / "tls")
    (tmp_path / "tls" / "key.pem").unlink()
    environment = {"TLS_FOLDER": str(tmp_path / "tls")}
    said = run_script("render", tmp_path / "nginx", environment=environment)
    assert said.returncode == 1
    assert said.stderr == f"nginx: TLS: cannot read {tmp_path}/tls/key.pem\n"
