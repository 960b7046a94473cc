"""One agent with the metadata plugin alone, on loopback, in a folder of its own: for what needs no fabric."""

import json
import sqlite3

from .standalone import StandaloneAgent


class LoopbackAgent(StandaloneAgent):
    """`lines` are further commands of `plugin metadata`."""

    READY_SECONDS = 20
    TOOL_SECONDS = 60

    def __init__(self, build, folder, *lines):
        super().__init__(build, folder)
        self.configure(*lines)

    def configure(self, *lines):
        self.write_config(self.metadata_node("".join(f" {line}\n" for line in lines), server_address=False))

    def health(self, name):
        return next(row for row in self.show("show health") if (row["component"], row["name"]) == ("metadata", name))

    def records(self, kind):
        """What the state file has of a kind, by key."""
        with sqlite3.connect(f"file:{self.folder}/state.db?mode=ro", uri=True) as database:
            return {key: json.loads(value) for key, value in database.execute("SELECT key, value FROM record WHERE kind = ?", (kind,))}

    def put_records(self, kind, values):
        """Writes into the state file of an agent that does not run: what another plugin would have committed."""
        assert self.process is None or not self.process.running()
        with sqlite3.connect(self.folder / "state.db") as database:
            database.executemany("INSERT OR REPLACE INTO record (kind, key, value, revision) VALUES (?, ?, ?, 1)",
                                 [(kind, key, json.dumps({"version": 1, **value})) for key, value in values.items()])
