"""The programs of a build folder, and how the nodes of a lab find them without being installed; or those that are installed."""

import pathlib

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = {"nettd": "agent/nettd", "nett-restore": "agent/nett-restore", "nettsh": "agent/cli/nettsh",
            "talos-fabric-builder": "builder/talos-fabric-builder"}
PLUGINS = ("ra", "metadata", "bgp-anycast", "redfish")
PLUGIN_MODULES = {name: f"plugins/{name}/nett-{name}.so" for name in PLUGINS}


# In place of a build folder: what the Debian packages have installed.
INSTALLED = "installed"


def make_build(folder):
    return InstalledBuild() if str(folder) == INSTALLED else Build(folder)


class InstalledBuild:
    """The packages' programs, by the paths that the packages give them."""

    _FOLDERS = {"nettd": "/usr/sbin", "nett-restore": "/usr/sbin"}

    def program(self, name):
        return f"{self._FOLDERS.get(name, '/usr/bin')}/{name}"

    def environment(self):
        return {}

    def plugin_folder(self, _):
        return next(pathlib.Path("/usr/lib").glob("*/nett/plugins"))


class Build:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        missing = [path for path in PROGRAMS.values() if not (self.folder / path).exists()]
        if missing:
            raise RuntimeError(f"{self.folder} has no {', '.join(missing)}: build first (ninja -C {self.folder})")

    def program(self, name):
        return str(self.folder / PROGRAMS[name])

    def environment(self):
        """For `enter`: nettsh and the others by name, as if installed."""
        folders = [str((self.folder / path).parent) for path in PROGRAMS.values()]
        return {"PATH": ":".join([*folders, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])}

    def plugin_folder(self, lab_folder):
        """One folder with all plugins, as an installation has it; a build has each in its own."""
        folder = lab_folder / "plugins"
        folder.mkdir(exist_ok=True)
        for name in PLUGINS:
            link = folder / f"nett-{name}.so"
            if not link.is_symlink():
                link.symlink_to(self.folder / PLUGIN_MODULES[name])
        return folder
