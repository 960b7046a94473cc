"""Certificates that the builder would not make: from a foreign root, or expired. By the openssl program."""

from . import netns
from .server import Credentials


def foreign_client(folder, name="intruder", common_name="tenant-a.boot.example"):
    """A client certificate with a plausible subject from a root that nobody trusts. Returns (certificate, key) paths."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    netns.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
              "-subj", f"/CN={common_name}", "-keyout", str(key), "-out", str(certificate))
    return certificate, key


def expired_client(folder, root, root_key, common_name):
    """A client certificate of the lab's own root that ran out long ago. Returns (certificate, key) paths."""
    folder.mkdir(parents=True, exist_ok=True)
    request, certificate, key = folder / "expired.csr", folder / "expired.pem", folder / "expired.key"
    netns.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={common_name}",
              "-keyout", str(key), "-out", str(request))
    database, serial, settings = folder / "ca.index", folder / "ca.serial", folder / "ca.conf"
    database.write_text("", encoding="ascii")
    serial.write_text("0f\n", encoding="ascii")
    settings.write_text(f"[ca]\ndefault_ca=lab\n[lab]\ndatabase={database}\nserial={serial}\nnew_certs_dir={folder}\ndefault_md=sha256\n"
                        "policy=any\n[any]\ncommonName=supplied\n", encoding="ascii")
    netns.run("openssl", "ca", "-batch", "-config", str(settings), "-cert", str(root), "-keyfile", str(root_key), "-in", str(request),
              "-out", str(certificate), "-startdate", "200101000000Z", "-enddate", "200201000000Z", "-notext")
    return certificate, key


def as_credentials(ca, pair):
    return Credentials(str(ca), str(pair[0]), str(pair[1]))
