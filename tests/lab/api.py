"""A client of the management API (proto/nett/v1/nett.proto) that is not ours: Debian's grpcio, messages generated on the spot."""

import importlib
import subprocess
import sys

from .build import SOURCE

_PROTO = SOURCE / "proto" / "nett" / "v1"


def messages(folder):
    """The Python module of nett.proto's messages, generated into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["protoc", f"--proto_path={_PROTO}", f"--python_out={folder}", str(_PROTO / "nett.proto")], check=True)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return importlib.import_module("nett_pb2")


class Api:
    """Unary calls over the agent's Unix socket."""

    def __init__(self, node, message_module):
        import grpc  # here, so that the demo does not need it
        self.error = grpc.RpcError
        self._messages = message_module
        self._channel = grpc.insecure_channel(f"unix:{node.path('/run/nett/nettd.sock')}")

    def call(self, method, request, reply, within=10):
        """`method` is "Inventory/PutTenant"; `reply` the message class."""
        stub = self._channel.unary_unary(f"/nett.v1.{method}", request_serializer=type(request).SerializeToString,
                                         response_deserializer=reply.FromString)
        return stub(request, timeout=within)

    def put_tenant(self, name):
        tenant = self._messages.Tenant(name=name, common_names=[f"{name}.boot.example"])
        return self.call("Inventory/PutTenant", self._messages.PutTenantRequest(tenant=tenant, reason="test"),
                         self._messages.MutationReply).revision

    def tenant_names(self):
        names, after = [], ""
        while True:
            reply = self.call("Inventory/ListTenants", self._messages.ListRequest(after=after), self._messages.ListTenantsReply)
            page = [tenant.name for tenant in reply.tenants]
            names += page
            if not page or page[-1] == after:
                return names
            after = page[-1]

    def close(self):
        self._channel.close()
