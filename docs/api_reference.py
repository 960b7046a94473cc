#!/usr/bin/python3
"""Writes docs/api-reference.md from the comments of proto/nett/v1/nett.proto.

Usage: api_reference.py > api-reference.md
"""

import pathlib
import subprocess
import tempfile

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROTO = "nett/v1/nett.proto"
F = descriptor_pb2.FieldDescriptorProto
# Numbers of fields in descriptor.proto: how a comment's path names what it is about.
MESSAGE, ENUM, SERVICE = 4, 5, 6
FIELD, NESTED, NESTED_ENUM, METHOD, VALUE = 2, 3, 4, 2, 2
SCALARS = {F.TYPE_STRING: "string", F.TYPE_BYTES: "bytes", F.TYPE_BOOL: "bool", F.TYPE_INT32: "int32", F.TYPE_INT64: "int64",
           F.TYPE_UINT32: "uint32", F.TYPE_UINT64: "uint64", F.TYPE_DOUBLE: "double", F.TYPE_FLOAT: "float", F.TYPE_FIXED64: "fixed64"}

HEAD = """# API reference: nett.v1

Made by `docs/api_reference.py` from `proto/nett/v1/nett.proto`; edit the comments there. How to reach the API, who may call what, and its
limits: [api.md](api.md).

"""


def described():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "set"
        subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", "--include_source_info", f"--descriptor_set_out={out}", PROTO], check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]


class Reference:
    def __init__(self, file):
        self.file = file
        self.comments = {tuple(one.path): (one.leading_comments + one.trailing_comments) for one in file.source_code_info.location
                         if one.leading_comments or one.trailing_comments}
        self.lines = []

    def text(self, path):
        return " ".join(self.comments.get(path, "").split())

    def add(self, *lines):
        self.lines.extend(lines)

    def type_of(self, field, entries):
        entry = entries.get(field.type_name.rsplit(".", 1)[-1])
        if field.type == F.TYPE_MESSAGE and entry is not None:
            return f"map<{self.type_of(entry.field[0], {})}, {self.type_of(entry.field[1], {})}>"
        if field.type in SCALARS:
            name = SCALARS[field.type]
        else:
            full = field.type_name.lstrip(".")
            short = full.removeprefix(self.file.package + ".")
            name = f"[{short}](#{short.lower().replace('.', '')})" if full.startswith(self.file.package + ".") else full.rsplit(".", 1)[-1]
        return ("repeated " if field.label == F.LABEL_REPEATED else "") + name

    def message(self, message, path, prefix=""):
        name = prefix + message.name
        entries = {one.name: one for one in message.nested_type if one.options.map_entry}
        self.add(f"### {name}", "")
        if self.text(path):
            self.add(self.text(path), "")
        if message.field:
            self.add("| field | type | |", "|---|---|---|")
            for i, field in enumerate(message.field):
                about = self.text((*path, FIELD, i)).replace("|", "\\|")
                choice = ""
                if field.HasField("oneof_index") and not field.proto3_optional:
                    choice = f"one of `{message.oneof_decl[field.oneof_index].name}`" + ("; " if about else "")
                self.add(f"| `{field.name}` = {field.number} | {self.type_of(field, entries)} | {choice}{about} |")
            self.add("")
        for i, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                self.message(nested, (*path, NESTED, i), name + ".")
        for i, enum in enumerate(message.enum_type):
            self.enum(enum, (*path, NESTED_ENUM, i), name + ".")

    def enum(self, enum, path, prefix=""):
        self.add(f"### {prefix}{enum.name}", "")
        if self.text(path):
            self.add(self.text(path), "")
        self.add("| value | |", "|---|---|")
        for i, value in enumerate(enum.value):
            self.add(f"| `{value.name}` = {value.number} | {self.text((*path, VALUE, i))} |")
        self.add("")

    def service(self, service, path):
        self.add(f"## {service.name}", "")
        if self.text(path):
            self.add(self.text(path), "")
        for i, method in enumerate(service.method):
            def linked(name):
                short = name.removeprefix(f".{self.file.package}.")
                return f"[{short}](#{short.lower()})" if name.startswith(f".{self.file.package}.") else short.rsplit(".", 1)[-1]
            asks = ("stream " if method.client_streaming else "") + linked(method.input_type)
            answers = ("stream " if method.server_streaming else "") + linked(method.output_type)
            about = self.text((*path, METHOD, i))
            self.add(f"- **{method.name}**({asks}) → {answers}" + (f"  \n  {about}" if about else ""))
        self.add("")

    def render(self):
        for i, service in enumerate(self.file.service):
            self.service(service, (SERVICE, i))
        self.add("## Messages", "")
        for i, message in enumerate(self.file.message_type):
            self.message(message, (MESSAGE, i))
        self.add("## Enumerations", "")
        for i, enum in enumerate(self.file.enum_type):
            self.enum(enum, (ENUM, i))
        return HEAD + "\n".join(self.lines).rstrip() + "\n"


if __name__ == "__main__":
    print(Reference(described()).render(), end="")
