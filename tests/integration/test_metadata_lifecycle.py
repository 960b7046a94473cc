"""What a boot request does to its machine, set up through the management API: profiles, pools, enrolment, holds, confirmation."""

import ipaddress
import itertools
import re

import pytest

from tests.lab import api, wait
from tests.lab.metadata import MetadataAgent, get

CONFIG = b"version: v1alpha1\n"
NUMBERS = itertools.count(1)
INSTALL = """#!ipxe
# {{machine}} is a {{profile}}
kernel {{artifacts}}/{{kernel}} {{{arguments}}}{{#prefix}} site.prefix={{prefix}}{{/prefix}}
initrd {{artifacts}}/{{initramfs}}
boot
"""


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    made = MetadataAgent(build, tmp_path_factory.mktemp("lifecycle"), " erase-set s\n port lab/lo prefix ::1/128\n")
    made.start()
    made.add_tenant("t")
    made.add_set("s", b"kernel", b"initramfs")
    yield made
    made.process.stop()


@pytest.fixture(scope="module")
def nett(tmp_path_factory):
    """The messages of the API."""
    return api.messages(tmp_path_factory.mktemp("proto"))


@pytest.fixture
def manage(agent, nett):
    made = api.Api(agent, nett)
    yield lambda method, request, reply=nett.MutationReply: made.call(f"Inventory/{method}", request, reply)
    made.close()


@pytest.fixture
def connection(agent):
    made = agent.connect("t")
    yield made
    made.close()


@pytest.fixture
def register(manage, nett):
    """Registers a machine of this test alone; returns its UUID."""
    def make(config=CONFIG, **more):
        number = next(NUMBERS)
        uuid = f"6e657474-0000-4000-8000-0000a000{number:04x}"
        machine = nett.Machine(name=f"l{number}", tenant="t", uuid=uuid, **{"artifact_set": "s", **more})
        manage("PutMachine", nett.PutMachineRequest(machine=machine, config=config))
        return f"l{number}", uuid

    return make


def put_profile(manage, nett, name, **more):
    manage("PutProfile", nett.PutProfileRequest(profile=nett.Profile(tenant="t", name=name, **more)))


def machine_of(manage, nett, name):
    return manage("GetMachine", nett.NameRequest(name=name), nett.Machine)


def test_a_profiles_template_is_the_script(manage, nett, connection, register):
    put_profile(manage, nett, "worker", kernel_args="console=ttyS1", delivery=nett.CONFIG_DELIVERY_URL, templates={"install": INSTALL})
    name, uuid = register(profile="worker", kernel_args="own=1")
    status, script = get(connection, f"/v1/boot/{uuid}")
    assert status == 200
    base = re.search(r"https://\[::1\]:\d+", script.decode())[0]
    assert script.decode() == f"""#!ipxe
# {name} is a worker
kernel {base}/v1/artifacts/s/vmlinuz talos.platform=metal slab_nomerge pti=on console=ttyS0 console=ttyS1 own=1 talos.config={base}/v1/config/{uuid}
initrd {base}/v1/artifacts/s/initramfs.xz
boot
"""


def test_a_bad_template_is_refused_with_its_line(manage, nett):
    with pytest.raises(Exception) as refused:
        put_profile(manage, nett, "broken", templates={"install": INSTALL.replace("{{machine}}", "{{hostname}}")})
    assert 'line 2: there is no value "hostname"' in refused.value.details()


def test_a_prefix_is_allocated_at_the_first_boot_and_stays(agent, manage, nett, connection, register):
    manage("PutPrefixPool", nett.PutPrefixPoolRequest(pool=nett.PrefixPool(name="two", prefix="2001:db8:17::/63", length=64)))
    put_profile(manage, nett, "pooled", templates={"install": INSTALL})
    machines = [register(profile="pooled", production=nett.Production(mode=nett.PRODUCTION_MODE_POOL, pool="two"))
                for _ in range(3)]
    prefixes = []
    for name, uuid in machines[:2]:
        script = get(connection, f"/v1/boot/{uuid}")[1].decode()
        prefixes.append(re.search(r" site\.prefix=(\S+)", script)[1])
        assert machine_of(manage, nett, name).production.prefix == prefixes[-1]
    assert set(map(ipaddress.ip_network, prefixes)) == set(ipaddress.ip_network("2001:db8:17::/63").subnets(new_prefix=64))
    name, uuid = machines[2]
    assert get(connection, f"/v1/boot/{uuid}")[0] == 404
    assert machine_of(manage, nett, name).state == nett.MACHINE_STATE_NEW
    wait.until("the log names the pool", lambda: re.search(rf'machine={name} .*"?two', agent.process.log()), 5)
    agent.process.kill()
    agent.start()
    again = agent.connect("t")
    assert f" site.prefix={prefixes[0]}\n" in get(again, f"/v1/boot/{machines[0][1]}")[1].decode()
    again.close()


def test_a_rule_by_port_enrols_a_machine_at_its_boot(manage, nett, connection):
    put_profile(manage, nett, "racked", artifact_set="s")
    tenant = nett.Tenant(name="t", common_names=["t.boot.example"])
    tenant.auto_enrol.add(ports=["lab/lo"], mac_prefixes=["02:aa"], profile="racked", name_pattern="rack-{mac}")
    manage("PutTenant", nett.PutTenantRequest(tenant=tenant))
    assert get(connection, "/v1/boot/02-aa-00-00-00-01")[0] == 404  # it is known now, and has no config yet
    machine = machine_of(manage, nett, "rack-02aa00000001")
    assert (machine.tenant, machine.profile, machine.state) == ("t", "racked", nett.MACHINE_STATE_NEW)
    manage("PutMachine", nett.PutMachineRequest(machine=machine, config=CONFIG))
    assert get(connection, "/v1/boot/02-aa-00-00-00-01")[0] == 200
    assert get(connection, "/v1/boot/02-ab-00-00-00-01")[0] == 404
    tenant.ClearField("auto_enrol")
    manage("PutTenant", nett.PutTenantRequest(tenant=tenant))


def test_a_machine_that_boots_in_a_loop_is_held_until_it_is_released(manage, nett, connection, register):
    put_profile(manage, nett, "loop", boot_loop=nett.BootLoopLimit(boots=1, minutes=30))
    name, uuid = register(profile="loop")
    assert get(connection, f"/v1/boot/{uuid}")[0] == 200
    # What follows within seconds is the same boot; the first request that is not is refused.
    wait.until("the machine is held", lambda: get(connection, f"/v1/boot/{uuid}")[0] == 404, 30, every=0.5)
    machine = machine_of(manage, nett, name)
    assert "30 minutes" in machine.hold.reason and machine.state == nett.MACHINE_STATE_PROVISIONING
    assert get(connection, f"/v1/config/{uuid}")[0] == 404
    manage("ReleaseMachine", nett.NameRequest(name=name))
    assert get(connection, f"/v1/boot/{uuid}")[0] == 200


def test_the_config_that_was_fetched_confirms_where_the_profile_says_so(manage, nett, connection, register):
    put_profile(manage, nett, "quick", confirm=nett.CONFIRM_BY_CONFIG_FETCHED)
    name, uuid = register(profile="quick")
    assert get(connection, f"/v1/boot/{uuid}")[0] == 200
    assert get(connection, f"/v1/config/{uuid}/config.sqsh")[0] == 200
    wait.until("the machine is active", lambda: machine_of(manage, nett, name).state == nett.MACHINE_STATE_ACTIVE, 10, every=0.1)
    assert get(connection, f"/v1/boot/{uuid}")[0] == 404


def test_decommission_records_that_the_erase_set_was_fetched(manage, nett, connection, register):
    name, uuid = register()
    manage("SetMachineState", nett.SetMachineStateRequest(name=name, state=nett.MACHINE_STATE_DECOMMISSION))
    assert not machine_of(manage, nett, name).erase.HasField("fetched")
    assert get(connection, f"/v1/boot/{uuid}")[0] == 200
    assert machine_of(manage, nett, name).erase.HasField("fetched")
