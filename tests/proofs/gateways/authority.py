"""A certificate authority of the test's own, made with openssl."""

import ssl
import subprocess
from pathlib import Path

from attrs import frozen

__all__ = ["Authority"]

_CONFIG = """
[ca]
default_ca = test
[test]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
x509_extensions = leaf
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
[root]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[req]
distinguished_name = nobody
[nobody]
"""


@frozen
class Authority:
    """An authority in a folder, with the name that its certificate bears."""

    folder: Path
    name: str = "test authority"

    def __attrs_post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "openssl.cnf").write_text(_CONFIG.format(folder=self.folder))
        (self.folder / "index.txt").touch()
        (self.folder / "serial").write_text("1000\n")
        self._openssl("req", "-x509", *self._key("ca"), "-out", "ca.pem", "-days", "2", "-extensions", "root",
                      "-subj", f"/CN={self.name}")  # fmt: skip

    @property
    def certificate(self) -> Path:
        """The certificate of the authority itself."""
        return self.folder / "ca.pem"

    def trusted(self) -> ssl.SSLContext:
        """Return a client's context that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def issue(self, *names: str, file: str = "server", expired: bool = False) -> tuple[Path, Path]:
        """Return certificate and key of a server with these names (`DNS:…`, `IP:…`)."""
        self._openssl("req", *self._key(file), "-out", f"{file}.csr", "-subj", "/CN=server",
                      "-addext", f"subjectAltName={','.join(names)}")  # fmt: skip
        begin, end = ("20200101000000Z", "20200201000000Z") if expired else ("20200101000000Z", "20991231235959Z")
        self._openssl("ca", "-config", "openssl.cnf", "-batch", "-notext", "-cert", "ca.pem", "-keyfile", "ca.key",
                      "-in", f"{file}.csr", "-out", f"{file}.pem", "-startdate", begin, "-enddate", end)  # fmt: skip
        return self.folder / f"{file}.pem", self.folder / f"{file}.key"

    def _key(self, file: str) -> list[str]:
        return ["-config", "openssl.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", f"{file}.key"]  # fmt: skip

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
