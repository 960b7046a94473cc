"""Who may speak to the metadata service."""

import pytest

from tests.lab import pki as wrong_pki
from tests.lab import story
from tests.lab.server import Credentials

ANY_MACHINE = "/v1/boot/00000000-1111-4222-8333-444444444444"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


def test_no_client_certificate_fails_the_handshake(world):
    reply = world.servers[1].fetch(ANY_MACHINE, Credentials(world.tenant.ca))
    assert reply.status == 0 and reply.error in ("tls", "connection"), reply


def test_a_client_certificate_of_another_root_fails_the_handshake(world, folder):
    pair = wrong_pki.foreign_client(folder)
    reply = world.servers[1].fetch(ANY_MACHINE, wrong_pki.as_credentials(world.tenant.ca, pair))
    assert reply.status == 0 and reply.error in ("tls", "connection"), reply


def test_an_expired_client_certificate_fails_the_handshake(world, folder):
    root, key = world.pki.folder / "root.pem", world.pki.folder / "root.key"
    pair = wrong_pki.expired_client(folder, root, key, "tenant-a.boot.example")
    reply = world.servers[1].fetch(ANY_MACHINE, wrong_pki.as_credentials(root, pair))
    assert reply.status == 0 and reply.error in ("tls", "connection"), reply


def test_the_servers_certificate_names_its_address_and_chains_to_the_root(world, folder):
    stranger, _ = wrong_pki.foreign_client(folder, name="stranger")
    reply = world.servers[1].fetch(ANY_MACHINE, Credentials(str(stranger), world.tenant.certificate, world.tenant.key))
    assert reply.error == "tls" and "verify failed" in reply.message


def test_a_tenant_sees_its_own_machines_only(world):
    uuid = "6e657474-0000-4000-8000-00000000b001"
    story.register_machine(world.home, "mine", uuid, ["52:54:00:00:b0:01"], story.machine_config("mine"))
    world.pki.add_tenant("tenant-b")
    story.register_tenant(world.home, "tenant-b")
    server = world.servers[2]
    mine = server.fetch(f"/v1/boot/{uuid}", world.tenant)
    assert mine.status == 200 and mine.body.startswith(b"#!ipxe")
    assert server.fetch(f"/v1/boot/{uuid}", world.pki.credentials("tenant-b")).status == 404
    assert server.fetch(f"/v1/config/{uuid}", world.pki.credentials("tenant-b")).status == 404
