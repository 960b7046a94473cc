"""What was acknowledged is on disk, whatever happens to the process."""

import random
import signal
import threading

from tests.lab.story import HOME


class Writer(threading.Thread):
    """Puts tenants one after the other until the connection breaks; `acknowledged` are those that were answered."""

    def __init__(self, world, prefix):
        super().__init__()
        self._world, self._prefix = world, prefix
        self.acknowledged = []
        self.revisions = []
        self.enough = threading.Condition()

    def run(self):
        client = self._world.api()
        try:
            for number in range(100_000):
                name = f"{self._prefix}-{number}"
                revision = client.put_tenant(name)
                with self.enough:
                    self.acknowledged.append(name)
                    self.revisions.append(revision)
                    self.enough.notify()
        except client.error:
            pass
        finally:
            client.close()

    def wait_for(self, count):
        with self.enough:
            assert self.enough.wait_for(lambda: len(self.acknowledged) >= count, timeout=30)


def test_a_kill_in_the_middle_of_writes_loses_nothing_that_was_acknowledged(world):
    dice = random.Random(20261121)
    expected, highest = set(), 0
    for round_number in range(4):
        writers = [Writer(world, f"w{round_number}{index}") for index in range(3)]
        for writer in writers:
            writer.start()
        writers[0].wait_for(dice.randint(5, 60))
        world.home.process.signal(signal.SIGKILL)
        world.home.kill()
        for writer in writers:
            writer.join(timeout=30)
            assert not writer.is_alive()
            expected.update(writer.acknowledged)
            assert writer.revisions == sorted(set(writer.revisions))
            highest = max([highest, *writer.revisions])
        world.home.start()
        client = world.api()
        missing = expected - set(client.tenant_names())
        assert not missing, f"{len(missing)} of {len(expected)} acknowledged tenants are gone: {sorted(missing)[:5]}"
        assert client.put_tenant("after") > highest
        client.close()


def test_a_second_agent_on_the_same_state_file_is_refused(world):
    node = world.lab.nodes[HOME]
    node.write("/etc/nett/second.conf", "hostname second\napi socket /run/nett/second.sock\n")
    arguments = world.home.arguments()
    arguments[arguments.index("/etc/nett/nett.conf")] = "/etc/nett/second.conf"
    second = node.run(*arguments, check=False, within=20)
    assert second.returncode not in (0, None)
    assert "/var/lib/nett/state.db" in second.stderr
    assert world.home.running() and world.home.show("show tenants")
