"""Smallstep's CA: one nett has not written, and an ACME server. Inside a network namespace, at [::1]:9000."""

import json
import os
import subprocess

from . import wait
from .boot_site import setup
from .process import Process


class StepCa:
    """With the JWK provisioner "admin", the ACME provisioner "acme", and certificates of up to a year."""

    url = "https://[::1]:9000"

    def __init__(self, folder, namespace):
        folder.mkdir(parents=True)
        self.namespace, self.programs = namespace, setup("step.sh")
        self.inside = ["ip", "netns", "exec", namespace]
        self._folder = folder
        self._environment = {**os.environ, "STEPPATH": str(folder)}
        self.password = folder / "password"
        self.password.write_text("lab\n", encoding="ascii")
        self.root = folder / "certs/root_ca.crt"

    def __enter__(self):
        self._run("ca", "init", "--name", "lab", "--dns", "::1", "--address", "[::1]:9000", "--provisioner", "admin", "--password-file",
                  self.password, "--deployment-type", "standalone")
        self._run("ca", "provisioner", "add", "acme", "--type", "ACME")
        settings = self._folder / "config/ca.json"
        config = json.loads(settings.read_text(encoding="utf-8"))
        config["authority"]["claims"] = {"maxTLSCertDuration": "8760h", "defaultTLSCertDuration": "24h"}
        settings.write_text(json.dumps(config), encoding="utf-8")
        self._process = Process("step-ca", [*self.inside, f"{self.programs}/step-ca", settings, "--password-file", self.password],
                                self._folder / "log", {"STEPPATH": str(self._folder)})
        wait.until("step-ca serves", lambda: subprocess.run([*self.inside, f"{self.programs}/step", "ca", "health", "--ca-url", self.url, "--root",
                                                             self.root], env=self._environment, capture_output=True, check=False).returncode == 0,
                   30, every=0.2)
        return self

    def __exit__(self, *_):
        self._process.stop()

    def _run(self, *words):
        done = subprocess.run([*self.inside, f"{self.programs}/step", *map(str, words)], env=self._environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"step {words}: {done.stderr}"
        return done.stdout

    def step(self, *words):
        """The client, as on a metadata host."""
        return self._run(*words, "--ca-url", self.url, "--root", self.root)

    def token(self, name):
        return self.step("ca", "token", name, "--provisioner", "admin", "--provisioner-password-file", self.password)
