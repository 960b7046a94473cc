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
_ENABLED = ["Disabled", "Once", "Continuous"]
_RESETS = ["On", "ForceOff", "GracefulShutdown", "ForceRestart"]


@dataclasses.dataclass
class Answer:
    status: int
    body: dict = None
    headers: dict = dataclasses.field(default_factory=dict)
    raw: bytes = b""  # instead of a body


def refusal(status, message_id, text, one_info=False):
    """An error in the form of DSP0266 section 8.6; `one_info`: an object where a list belongs, as iDRAC does."""
    info = {"@odata.type": "#Message.v1_1_1.Message", "MessageId": f"Base.1.18.{message_id}", "Message": text}
    return Answer(status, {"error": {"code": f"Base.1.18.{message_id}", "message": text,
                                     "@Message.ExtendedInfo": info if one_info else [info]}})


def _link(path):
    return {"@odata.id": path}


class System:
    """One machine as its BMC shows it."""

    def __init__(self, name, driver, folder, media_under="Systems", image_ca=None, quirks=None):
        self.quirks = quirks or {}
        self.name = name
        self.path = f"{ROOT}/Systems/{name}"
        self.manager = f"{ROOT}/Managers/{name}"
        self._media_under = self.quirks.get("media_under", media_under)
        self.media = f"{self.path if self._media_under == 'Systems' else self.manager}/VirtualMedia"
        self.slot = f"{self.media}/{self.quirks.get('slot', 'Cd')}"
        self.ethernet = f"{self.path}/EthernetInterfaces"
        self.settings = f"{self.path}/{self.quirks['settings']}" if "settings" in self.quirks else None
        self.attributes_path = f"{self.manager}/Attributes"
        self.driver = driver
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_URL, self.path))
        digest = hashlib.sha256(name.encode()).hexdigest()
        self.mac = "52:54:00:" + ":".join(digest[i:i + 2] for i in (0, 2, 4))
        self.serial = f"LAB-{name}"
        self.image = None
        self.stale = None       # (reads left, image): the slot still shows what was ejected
        self.boot = {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}
        if not self.quirks.get("no_mode"):
            self.boot["BootSourceOverrideMode"] = "UEFI"
        if "UefiHttp" in self._targets():
            self.boot["HttpBootUri"] = None
        self.attributes = {"ServerBoot.1.FirstBootDevice": "Normal", "ServerBoot.1.BootOnce": "Disabled"}
        self.resets = 0
        self._attached = self.quirks.get("attached", False)  # an image is there, whatever the slot says
        self._busy_patches = self.quirks.get("busy_patches", 0)
        self._conflicts = self.quirks.get("on_conflicts", 0)
        self._left_image = None  # shown after the eject
        self._folder = pathlib.Path(folder)
        self._image_ca = image_ca
        self._file = None

    def _targets(self):
        return self.quirks.get("targets", _TARGETS)

    def _refusal(self, status, message_id, text):
        return refusal(status, message_id, text, self.quirks.get("one_info", False))

    def resources(self):
        """Path → function that gives the resource."""
        found = {self.path: self._system, self.manager: self._manager, self.ethernet: self._nics, f"{self.ethernet}/1": self._nic}
        if not self.quirks.get("no_media"):
            found |= {self.media: self._collection, self.slot: self._slot}
        if self.settings:
            found[self.settings] = self._settings
        if self.quirks.get("server_boot"):
            found[self.attributes_path] = self._attributes
        return found

    def _system(self):
        reset = {"target": f"{self.path}/Actions/ComputerSystem.Reset"}
        body = {"@odata.id": self.path, "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem", "Id": self.name, "Name": self.name,
                "UUID": self.uuid, "SerialNumber": self.serial, "Manufacturer": self.quirks.get("manufacturer", "Lab"),
                "Model": self.quirks.get("model", "Virtual"), "BiosVersion": "1.0", "PowerState": "On" if self.driver.is_on() else "Off",
                "Boot": dict(self.boot), "EthernetInterfaces": _link(self.ethernet),
                "Actions": {"#ComputerSystem.Reset": reset}}
        if not self.quirks.get("no_allowable"):
            body["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"] = self._targets()
            reset["ResetType@Redfish.AllowableValues"] = _RESETS
        if not self.quirks.get("no_managed_by"):
            body["Links"] = {"ManagedBy": [_link(self.manager)]}
        if self.quirks.get("last_reset"):
            body["LastResetTime"] = f"2026-01-01T{self.resets // 3600:02}:{self.resets // 60 % 60:02}:{self.resets % 60:02}Z"
        if self.settings:
            body["@Redfish.Settings"] = {"SettingsObject": _link(self.settings)}
        if self._media_under == "Systems" and not self.quirks.get("no_media"):
            body["VirtualMedia"] = _link(self.media)
        return body

    def _settings(self):
        return {"@odata.id": self.settings, "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem", "Id": "Settings",
                "Name": "Pending settings", "Boot": dict(self.boot)}

    def _attributes(self):
        return {"@odata.id": self.attributes_path, "Id": "Attributes", "Name": "Attributes", "Attributes": dict(self.attributes)}

    def _nics(self):
        return {"@odata.id": self.ethernet, "Name": "NICs", "Members": [_link(f"{self.ethernet}/1")], "Members@odata.count": 1}

    def _nic(self):
        return {"@odata.id": f"{self.ethernet}/1", "Id": "1", "Name": "NIC", "PermanentMACAddress": self.mac.upper()}

    def _manager(self):
        body = {"@odata.id": self.manager, "@odata.type": "#Manager.v1_19_0.Manager", "Id": self.name, "Name": "BMC",
                "Model": self.quirks.get("manager_model", "BMC"), "FirmwareVersion": "7.0"}
        if self._media_under == "Managers" and not self.quirks.get("no_media"):
            body["VirtualMedia"] = _link(self.media)
        return body

    def _collection(self):
        return {"@odata.id": self.media, "Name": "Virtual media", "Members": [_link(self.slot)], "Members@odata.count": 1}

    def _slot(self):
        image = self.image
        if self.stale:
            reads, image = self.stale
            self.stale = (reads - 1, image) if reads > 1 else None
        shown = image or self._left_image or self.quirks.get("empty_image")
        body = {"@odata.id": self.slot, "@odata.type": "#VirtualMedia.v1_6_0.VirtualMedia", "Id": "Cd", "Name": "Virtual CD",
                "MediaTypes": self.quirks.get("media_types", ["CD", "DVD"]), "Image": shown,
                "ImageName": shown and shown.rpartition("/")[2], "Inserted": image is not None or self._left_image is not None,
                "WriteProtected": True, "ConnectedVia": "URI" if image else "NotConnected"}
        if not self.quirks.get("insert_by_patch"):
            body["Actions"] = {"#VirtualMedia.InsertMedia": {"target": f"{self.slot}/Actions/VirtualMedia.InsertMedia"},
                               "#VirtualMedia.EjectMedia": {"target": f"{self.slot}/Actions/VirtualMedia.EjectMedia"}}
        return body

    def action(self, path, body, if_match=None):
        """The answer to a POST, or None when it is not for this machine."""
        actions = {f"{self.path}/Actions/ComputerSystem.Reset": self._reset,
                   f"{self.slot}/Actions/VirtualMedia.InsertMedia": self._insert,
                   f"{self.slot}/Actions/VirtualMedia.EjectMedia": self._eject}
        if path not in actions:
            return None
        if if_match is not None and self.quirks.get("refuses_etag_on_post"):
            return self._refusal(400, "HeaderInvalid", "If-Match does not belong on a POST")
        return actions[path](body)

    def _reset(self, body):
        kind = body.get("ResetType")
        if kind not in _RESETS:
            return self._refusal(400, "ActionParameterValueNotInList", f"ResetType {kind} is not supported")
        if (kind == "On") == self.driver.is_on() and kind != "ForceRestart":
            return self._refusal(409, "NoOperation", "the machine is in that power state already")
        if kind == "On" and self._conflicts > 0:
            self._conflicts -= 1
            return self._refusal(409, "ResourceInUse2", "the machine is not ready")
        if kind != "On":
            self.driver.power_off()
        if kind in ("On", "ForceRestart"):
            self._power_on()
        self.resets += 1
        return Answer(204)

    def _power_on(self):
        enabled, target = self.boot["BootSourceOverrideEnabled"], self.boot["BootSourceOverrideTarget"]
        from_cd = enabled != "Disabled" and target == self.quirks.get("boots_from", "Cd")
        if self.attributes["ServerBoot.1.BootOnce"] == "Enabled":
            from_cd = self.attributes["ServerBoot.1.FirstBootDevice"] == "VCD-DVD"
            self.attributes.update({"ServerBoot.1.BootOnce": "Disabled", "ServerBoot.1.FirstBootDevice": "Normal"})
        if enabled == "Once":
            self.boot.update(BootSourceOverrideEnabled="Disabled", BootSourceOverrideTarget="None")
        has_image = self.image is not None or self.boot.get("HttpBootUri") is not None
        self.driver.power_on(self._file, from_cd and has_image)

    def _insert(self, body):
        image = body.get("Image")
        if not isinstance(image, str):
            return self._refusal(400, "ActionParameterMissing", "Image is missing")
        missing = [name for name in self.quirks.get("insert_needs", []) if name not in body]
        if missing:
            return self._refusal(400, "ActionParameterMissing", f"{missing[0]} is missing")
        if "insert_only" in self.quirks and set(body) != set(self.quirks["insert_only"]):
            return self._refusal(400, "ActionParameterUnknown", "there are parameters that are not supported")
        if image.partition(":")[0] not in self.quirks.get("schemes", ["http", "https"]):
            return self._refusal(400, "ActionParameterValueFormatError", "that URL is not supported")
        if self.image is not None or self._attached:
            return self._refusal(409 if not self._attached else 500, "ResourceInUse", "an image is inserted already")
        return self._mount(image)

    def _mount(self, image):
        if self.driver.needs_image_file:
            try:
                self._file = self._download(image)
            except (OSError, ValueError) as error:
                return self._refusal(500, "CouldNotEstablishConnection", f"cannot read the image: {error}")
        self.image, self.stale, self._left_image = image, None, None
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
        if self.quirks.get("eject_needs_media") and self.image is None:
            return self._refusal(400, "NoMedia", "there is nothing to eject")
        self.driver.eject()
        self._left_image = self.image if self.quirks.get("keeps_image") else None
        self.image = self._file = None
        self._attached = False
        return Answer(204)

    # ---- PATCH ----

    def patches(self):
        """Path → function that takes a PATCH."""
        found = {self.path: self._patch_system}
        if self.settings:
            found[self.settings] = self._patch_boot
        if self.quirks.get("server_boot"):
            found[self.attributes_path] = self._patch_attributes
        if self.quirks.get("insert_by_patch"):
            found[self.slot] = self._patch_slot
        return found

    def _patch_system(self, body):
        if "system_patch" in self.quirks:
            return self._refusal(400, self.quirks["system_patch"] or "GeneralError", "Boot cannot be changed here")
        return self._patch_boot(body)

    def _patch_boot(self, body):
        boot = body.get("Boot")
        if not isinstance(boot, dict) or set(body) != {"Boot"}:
            return self._refusal(400, "PropertyNotWritable", "only Boot can be changed")
        if self._busy_patches > 0:
            self._busy_patches -= 1
            return self._refusal(400, self.quirks.get("busy_id", "ResourceInUse"), "not now")
        enabled = boot.get("BootSourceOverrideEnabled")
        if enabled not in self.quirks.get("enabled", _ENABLED):
            return self._refusal(400, "PropertyValueNotInList", "that value of Enabled is not supported")
        if boot.get("BootSourceOverrideTarget", "None") not in self._targets():
            return self._refusal(400, "PropertyValueNotInList", "that target is not supported")
        if self.quirks.get("no_target_none") and enabled == "Disabled" and boot.get("BootSourceOverrideTarget") == "None":
            return self._refusal(400, "PropertyValueConflict", "None does not go with Disabled")
        missing = [name for name in self.quirks.get("boot_needs", []) if name not in boot and enabled != "Disabled"]
        unknown = [name for name in boot if name not in self.boot]
        if missing or unknown:
            return self._refusal(400, "PropertyMissing" if missing else "PropertyUnknown", f"{(missing + unknown)[0]} is the matter")
        self.boot.update(boot)
        return Answer(200, self._system())

    def _patch_attributes(self, body):
        self.attributes.update({key: value for key, value in body.get("Attributes", {}).items() if key in self.attributes})
        return Answer(200, self._attributes())

    def _patch_slot(self, body):
        if body.get("Inserted") is False:
            return self._eject(body)
        if self.image is not None:
            return self._refusal(409, "ResourceInUse", "an image is inserted already")
        answer = self._mount(body["Image"])
        return Answer(200, self._slot()) if answer.status == 204 else answer


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
                "Links": {"Sessions": _link(f"{ROOT}/SessionService/Sessions")}, **self._vendor()}

    def _vendor(self):
        quirks = next(iter(self.systems.values())).quirks
        more = {"Vendor": quirks["vendor"]} if "vendor" in quirks else {}
        return more | ({"Oem": {quirks["oem"]: {}}} if "oem" in quirks else {})

    def _members(self, kind):
        members = [_link(f"{ROOT}/{kind}/{name}") for name in self.systems]
        return {"@odata.id": f"{ROOT}/{kind}", "Name": kind, "Members": members, "Members@odata.count": len(members)}

    def _session_list(self):
        members = [_link(f"{ROOT}/SessionService/Sessions/{number}") for number in self.sessions]
        return {"@odata.id": f"{ROOT}/SessionService/Sessions", "Members": members, "Members@odata.count": len(members)}

    def post(self, path, body, if_match=None):
        if path == f"{ROOT}/SessionService/Sessions":
            return self._open_session(body)
        for system in self.systems.values():
            answer = system.action(path, body, if_match)
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
            patch = system.patches().get(path)
            if patch is None:
                continue
            current = self.get(path).headers["ETag"]
            if if_match is None and (self._needs_etag or system.quirks.get("needs_etag")):
                return refusal(428, "PreconditionRequired", "If-Match is missing")
            if system.quirks.get("weak_refused"):
                current = current.removeprefix("W/")
            if if_match not in (None, "*", current):
                return refusal(412, "PreconditionFailed", "the resource has changed")
            return patch(body)
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
