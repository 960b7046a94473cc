"""The Redfish resources of the emulated BMC, without HTTP: requests and answers are values."""

import dataclasses
import hashlib
import json
import pathlib
import ssl
import threading
import urllib.request
import uuid

ROOT = "/redfish/v1"
_TARGETS = ["None", "Pxe", "Cd", "Hdd", "UefiHttp"]
_RESETS = ["On", "ForceOff", "GracefulShutdown", "ForceRestart"]


@dataclasses.dataclass
class Answer:
    status: int
    body: dict = None
    headers: dict = dataclasses.field(default_factory=dict)


def refusal(status, message_id, text):
    """An error in the form of DSP0266 section 8.6."""
    info = {"@odata.type": "#Message.v1_1_1.Message", "MessageId": f"Base.1.18.{message_id}", "Message": text}
    return Answer(status, {"error": {"code": f"Base.1.18.{message_id}", "message": text, "@Message.ExtendedInfo": [info]}})


def _link(path):
    return {"@odata.id": path}


class System:
    """One machine as its BMC shows it."""

    def __init__(self, name, driver, folder, media_under="Systems", image_ca=None):
        self.name = name
        self.path = f"{ROOT}/Systems/{name}"
        self.manager = f"{ROOT}/Managers/{name}"
        self.media = f"{self.path if media_under == 'Systems' else self.manager}/VirtualMedia"
        self.slot = f"{self.media}/Cd"
        self.driver = driver
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_URL, self.path))
        self.image = None
        self.stale = None       # (reads left, image): the slot still shows what was ejected
        self.boot = {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None", "BootSourceOverrideMode": "UEFI"}
        self._media_under = media_under
        self._folder = pathlib.Path(folder)
        self._image_ca = image_ca
        self._file = None

    def resources(self):
        """Path → function that gives the resource."""
        return {self.path: self._system, self.manager: self._manager, self.media: self._collection, self.slot: self._slot}

    def _system(self):
        body = {"@odata.id": self.path, "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem", "Id": self.name, "Name": self.name,
                "UUID": self.uuid, "PowerState": "On" if self.driver.is_on() else "Off",
                "Boot": {**self.boot, "BootSourceOverrideTarget@Redfish.AllowableValues": _TARGETS},
                "Links": {"ManagedBy": [_link(self.manager)]},
                "Actions": {"#ComputerSystem.Reset": {"target": f"{self.path}/Actions/ComputerSystem.Reset",
                                                      "ResetType@Redfish.AllowableValues": _RESETS}}}
        if self._media_under == "Systems":
            body["VirtualMedia"] = _link(self.media)
        return body

    def _manager(self):
        body = {"@odata.id": self.manager, "@odata.type": "#Manager.v1_19_0.Manager", "Id": self.name, "Name": "BMC"}
        if self._media_under == "Managers":
            body["VirtualMedia"] = _link(self.media)
        return body

    def _collection(self):
        return {"@odata.id": self.media, "Name": "Virtual media", "Members": [_link(self.slot)], "Members@odata.count": 1}

    def _slot(self):
        image = self.image
        if self.stale:
            reads, image = self.stale
            self.stale = (reads - 1, image) if reads > 1 else None
        return {"@odata.id": self.slot, "@odata.type": "#VirtualMedia.v1_6_0.VirtualMedia", "Id": "Cd", "Name": "Virtual CD",
                "MediaTypes": ["CD", "DVD"], "Image": image, "ImageName": image and image.rpartition("/")[2],
                "Inserted": image is not None, "WriteProtected": True, "ConnectedVia": "URI" if image else "NotConnected",
                "Actions": {"#VirtualMedia.InsertMedia": {"target": f"{self.slot}/Actions/VirtualMedia.InsertMedia"},
                            "#VirtualMedia.EjectMedia": {"target": f"{self.slot}/Actions/VirtualMedia.EjectMedia"}}}

    def action(self, path, body):
        """The answer to a POST, or None when it is not for this machine."""
        actions = {f"{self.path}/Actions/ComputerSystem.Reset": self._reset,
                   f"{self.slot}/Actions/VirtualMedia.InsertMedia": self._insert,
                   f"{self.slot}/Actions/VirtualMedia.EjectMedia": self._eject}
        return actions[path](body) if path in actions else None

    def _reset(self, body):
        kind = body.get("ResetType")
        if kind not in _RESETS:
            return refusal(400, "ActionParameterValueNotInList", f"ResetType {kind} is not supported")
        if (kind == "On") == self.driver.is_on() and kind != "ForceRestart":
            return refusal(409, "NoOperation", "the machine is in that power state already")
        if kind != "On":
            self.driver.power_off()
        if kind in ("On", "ForceRestart"):
            self._power_on()
        return Answer(204)

    def _power_on(self):
        from_cd = self.boot["BootSourceOverrideEnabled"] != "Disabled" and self.boot["BootSourceOverrideTarget"] == "Cd"
        if self.boot["BootSourceOverrideEnabled"] == "Once":
            self.boot.update(BootSourceOverrideEnabled="Disabled", BootSourceOverrideTarget="None")
        self.driver.power_on(self._file, from_cd and self.image is not None)

    def _insert(self, body):
        image = body.get("Image")
        if not isinstance(image, str):
            return refusal(400, "ActionParameterMissing", "Image is missing")
        if self.image is not None:
            return refusal(409, "ResourceInUse", "an image is inserted already")
        if self.driver.needs_image_file:
            try:
                self._file = self._download(image)
            except (OSError, ValueError) as error:
                return refusal(500, "CouldNotEstablishConnection", f"cannot read the image: {error}")
        self.image, self.stale = image, None
        return Answer(204)

    def _download(self, url):
        context = ssl.create_default_context(cafile=self._image_ca) if self._image_ca else ssl._create_unverified_context()
        file = self._folder / f"{self.name}.iso"
        with urllib.request.urlopen(url, timeout=60, context=context if url.startswith("https") else None) as source:
            partial = file.with_suffix(".part")
            with open(partial, "wb") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
        partial.replace(file)
        return file

    def _eject(self, _body):
        self.driver.eject()
        self.image = self._file = None
        return Answer(204)

    def patch(self, body):
        boot = body.get("Boot")
        if not isinstance(boot, dict) or set(body) != {"Boot"}:
            return refusal(400, "PropertyNotWritable", "only Boot can be changed")
        if boot.get("BootSourceOverrideTarget", "None") not in _TARGETS:
            return refusal(400, "PropertyValueNotInList", "that target is not supported")
        self.boot.update({key: value for key, value in boot.items() if key in self.boot})
        return Answer(200, self._system())


def etag_of(body):
    return f'W/"{hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]}"'


class Service:
    """All resources of one BMC. Thread-safe: one request at a time, as in many a real one."""

    def __init__(self, systems, user, password, max_sessions=8, needs_etag=False):
        self.lock = threading.Lock()
        self.systems = {system.name: system for system in systems}
        self.sessions = {}       # id → token
        self._user, self._password = user, password
        self._max_sessions, self._needs_etag = max_sessions, needs_etag
        self._tasks = {}         # id → (polls left, effect)
        self._counter = 0

    def is_token(self, token):
        return token in self.sessions.values()

    def is_login(self, user, password):
        return (user, password) == (self._user, self._password)

    def get(self, path):
        path = path.rstrip("/") or "/"
        resources = {ROOT: self._root, f"{ROOT}/Systems": lambda: self._members("Systems"),
                     f"{ROOT}/Managers": lambda: self._members("Managers"), f"{ROOT}/SessionService/Sessions": self._session_list}
        for system in self.systems.values():
            resources.update(system.resources())
        if path in resources:
            body = resources[path]()
            return Answer(200, body, {"ETag": etag_of(body)})
        if path.startswith(f"{ROOT}/TaskService/TaskMonitors/"):
            return self._poll(path.rpartition("/")[2])
        return refusal(404, "ResourceMissingAtURI", f"there is nothing at {path}")

    def _root(self):
        return {"@odata.id": f"{ROOT}/", "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot", "RedfishVersion": "1.18.0", "Vendor": "Lab",
                "Product": "nett lab BMC", "Systems": _link(f"{ROOT}/Systems"), "Managers": _link(f"{ROOT}/Managers"),
                "SessionService": _link(f"{ROOT}/SessionService"),
                "Links": {"Sessions": _link(f"{ROOT}/SessionService/Sessions")}}

    def _members(self, kind):
        members = [_link(f"{ROOT}/{kind}/{name}") for name in self.systems]
        return {"@odata.id": f"{ROOT}/{kind}", "Name": kind, "Members": members, "Members@odata.count": len(members)}

    def _session_list(self):
        members = [_link(f"{ROOT}/SessionService/Sessions/{number}") for number in self.sessions]
        return {"@odata.id": f"{ROOT}/SessionService/Sessions", "Members": members, "Members@odata.count": len(members)}

    def post(self, path, body):
        if path == f"{ROOT}/SessionService/Sessions":
            return self._open_session(body)
        for system in self.systems.values():
            answer = system.action(path, body)
            if answer is not None:
                return answer
        return refusal(404, "ActionNotSupported", f"there is no action {path}")

    def _open_session(self, body):
        if not self.is_login(body.get("UserName"), body.get("Password")):
            return refusal(401, "NoValidSession", "wrong user name or password")
        if len(self.sessions) >= self._max_sessions:
            return refusal(503, "SessionLimitExceeded", "there are too many sessions")
        self._counter += 1
        number, token = str(self._counter), uuid.uuid4().hex
        self.sessions[number] = token
        path = f"{ROOT}/SessionService/Sessions/{number}"
        return Answer(201, {"@odata.id": path, "Id": number}, {"X-Auth-Token": token, "Location": path})

    def patch(self, path, body, if_match):
        for system in self.systems.values():
            if path == system.path:
                current = self.get(path).headers["ETag"]
                if if_match is None and self._needs_etag:
                    return refusal(428, "PreconditionRequired", "If-Match is missing")
                if if_match not in (None, "*", current):
                    return refusal(412, "PreconditionFailed", "the resource has changed")
                return system.patch(body)
        return refusal(405, "OperationNotAllowed", f"{path} cannot be changed")

    def delete(self, path):
        number = path.rpartition("/")[2]
        if path.startswith(f"{ROOT}/SessionService/Sessions/") and self.sessions.pop(number, None):
            return Answer(204)
        return refusal(404, "ResourceMissingAtURI", f"there is nothing at {path}")

    # ---- Tasks: the effect of a request comes later ----

    def defer(self, effect, polls):
        self._counter += 1
        number = str(self._counter)
        self._tasks[number] = (polls, effect)
        task = {"@odata.id": f"{ROOT}/TaskService/Tasks/{number}", "Id": number, "TaskState": "New"}
        return Answer(202, task, {"Location": f"{ROOT}/TaskService/TaskMonitors/{number}", "Retry-After": "1"})

    def _poll(self, number):
        if number not in self._tasks:
            return refusal(404, "ResourceMissingAtURI", "there is no such task")
        polls, effect = self._tasks[number]
        if polls > 0:
            self._tasks[number] = (polls - 1, effect)
            return Answer(202, {"Id": number, "TaskState": "Running"}, {"Retry-After": "1"})
        del self._tasks[number]
        return effect()
