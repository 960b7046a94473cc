"""A thousand BMCs in one process: an address each, one listening socket, answers made in memory.

Only what a job without trouble asks for (tests/lab/bmc has the moods). Says "ready" once it listens; on SIGTERM prints one
JSON line: the machines that were provisioned, requests, the most in flight of one BMC, faults against the protocol.
"""

import argparse
import asyncio
import json
import signal
import socket
import ssl

SYSTEM = "/redfish/v1/Systems/1"
MANAGER = "/redfish/v1/Managers/1"
MEDIA = f"{MANAGER}/VirtualMedia"
SLOT = f"{MEDIA}/Cd"
SESSIONS = "/redfish/v1/SessionService/Sessions"
IP_FREEBIND = 15


def _link(path):
    return {"@odata.id": path}


ROOT = {"@odata.id": "/redfish/v1/", "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot", "Id": "RootService", "Name": "Root",
        "RedfishVersion": "1.18.0", "UUID": "6e657474-0000-4000-8000-00000000ffff", "Systems": _link("/redfish/v1/Systems"),
        "Managers": _link("/redfish/v1/Managers"), "SessionService": _link("/redfish/v1/SessionService"),
        "Links": {"Sessions": _link(SESSIONS)}}
FIXED = {"/redfish/v1": ROOT,
         "/redfish/v1/Systems": {"@odata.id": "/redfish/v1/Systems", "Name": "Systems", "Members": [_link(SYSTEM)], "Members@odata.count": 1},
         "/redfish/v1/SessionService": {"@odata.id": "/redfish/v1/SessionService", "Id": "SessionService", "Name": "Sessions",
                                        "ServiceEnabled": True, "SessionTimeout": 1800, "Sessions": _link(SESSIONS)},
         SESSIONS: {"@odata.id": SESSIONS, "Name": "Sessions", "Members": [], "Members@odata.count": 0},
         "/redfish/v1/Managers": {"@odata.id": "/redfish/v1/Managers", "Name": "Managers", "Members": [_link(MANAGER)], "Members@odata.count": 1},
         MANAGER: {"@odata.id": MANAGER, "@odata.type": "#Manager.v1_19_0.Manager", "Id": "1", "Name": "BMC", "VirtualMedia": _link(MEDIA)},
         MEDIA: {"@odata.id": MEDIA, "Name": "Media", "Members": [_link(SLOT)], "Members@odata.count": 1}}
FIXED = {path: json.dumps(body).encode() for path, body in FIXED.items()}


class Bmc:
    """One machine and its BMC."""

    def __init__(self):
        self.power = "On"
        self.image = None
        self.enabled, self.target = "Disabled", "None"
        self.in_flight = self.most_in_flight = self.power_ons = self.ejects = self.sessions = 0

    def system(self):
        boot = {"BootSourceOverrideEnabled": self.enabled, "BootSourceOverrideTarget": self.target, "BootSourceOverrideMode": "UEFI",
                "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Cd", "Hdd"],
                "BootSourceOverrideMode@Redfish.AllowableValues": ["UEFI", "Legacy"]}
        reset = {"target": f"{SYSTEM}/Actions/ComputerSystem.Reset", "ResetType@Redfish.AllowableValues": ["On", "ForceOff"]}
        return {"@odata.id": SYSTEM, "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem", "Id": "1", "Name": "System",
                "PowerState": self.power, "Boot": boot, "Links": {"ManagedBy": [_link(MANAGER)]}, "Actions": {"#ComputerSystem.Reset": reset}}

    def slot(self):
        actions = {f"#VirtualMedia.{name}": {"target": f"{SLOT}/Actions/VirtualMedia.{name}"} for name in ("InsertMedia", "EjectMedia")}
        return {"@odata.id": SLOT, "@odata.type": "#VirtualMedia.v1_6_0.VirtualMedia", "Id": "Cd", "Name": "CD", "MediaTypes": ["CD", "DVD"],
                "Image": self.image, "Inserted": self.image is not None, "WriteProtected": True, "Actions": actions}

    def answer(self, method, path, body):
        """Status, body, further header lines."""
        path = path.rstrip("/")
        if method == "GET":
            if path in FIXED:
                return 200, FIXED[path], b""
            if path == SYSTEM:
                return 200, json.dumps(self.system()).encode(), b'ETag: W/"1"\r\n'
            if path == SLOT:
                return 200, json.dumps(self.slot()).encode(), b""
            return 404, b"{}", b""
        if method == "POST" and path == SESSIONS:
            self.sessions += 1
            path = f"{SESSIONS}/{self.sessions}"
            return 201, json.dumps({"@odata.id": path, "Id": str(self.sessions), "Name": "Session", "UserName": "admin"}).encode(), (
                f"X-Auth-Token: t{self.sessions}\r\nLocation: {path}\r\n".encode())
        if method == "POST":
            return self.act(path.rpartition(".")[2], json.loads(body or b"{}")), b"", b""
        if method == "PATCH":
            boot = json.loads(body)["Boot"]
            self.enabled = boot.get("BootSourceOverrideEnabled", self.enabled)
            self.target = boot.get("BootSourceOverrideTarget", self.target)
            return 200, b"{}", b""
        return 204, b"", b""

    def act(self, action, body):
        if action == "InsertMedia":
            self.image = body["Image"]
        elif action == "EjectMedia":
            self.image = None
            self.ejects += 1
        elif body["ResetType"] == "On":
            self.power = "On"
            self.power_ons += 1
            self.enabled = "Disabled"
        else:
            self.power = "Off"
        return 204


class Connection(asyncio.Protocol):
    """HTTP/1.1, one request after the other."""

    def __init__(self, service):
        self.service = service
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport
        self.bmc = self.service.bmc(transport.get_extra_info("sockname")[0])

    def data_received(self, data):
        self.received += data
        head, found, rest = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n"):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(rest) < length:
            return
        self.received = rest[length:]
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self.service.requests += 1
        self.bmc.in_flight += 1
        self.bmc.most_in_flight = max(self.bmc.most_in_flight, self.bmc.in_flight)
        asyncio.get_running_loop().call_later(self.service.latency, self.send, method, path, rest[:length])

    def send(self, method, path, body):
        self.bmc.in_flight -= 1
        before = self.bmc.power_ons
        status, content, more = self.bmc.answer(method, path, body)
        self.transport.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
                             % (status, more, len(content), content))
        if self.bmc.power_ons > before:
            self.service.powered_on(self.transport.get_extra_info("sockname")[0])


class Service:
    def __init__(self, latency):
        self.latency = latency
        self.bmcs = {}
        self.requests = 0

    def bmc(self, address):
        return self.bmcs.setdefault(address, Bmc())

    def powered_on(self, address):
        """Tells whoever lets the machine boot."""
        print(f"on {address}", flush=True)

    def report(self):
        return {"bmcs": len(self.bmcs), "requests": self.requests,
                "power_ons": sum(bmc.power_ons for bmc in self.bmcs.values()),
                "twice": sum(bmc.power_ons > 1 for bmc in self.bmcs.values()),
                "left_inserted": sum(bmc.image is not None for bmc in self.bmcs.values()),
                "max_inflight_per_bmc": max((bmc.most_in_flight for bmc in self.bmcs.values()), default=0)}


async def serve(arguments):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate, arguments.key)
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", 443))
    listener.listen(1024)
    service = Service(arguments.latency)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), sock=listener, ssl=context)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    print("ready", flush=True)
    await ended.wait()
    server.close()
    print(json.dumps(service.report()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--latency", type=float, default=0.01, help="seconds from a request to its answer")
    asyncio.run(serve(parser.parse_args()))
