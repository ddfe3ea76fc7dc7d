"""Reads an official data model (cwmp-datamodel XML) into objects and parameters.

Reads only facts: names, types, facets, defaults, flags. Ignores descriptions.
"""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

BASE_TYPES = {
    "string", "int", "unsignedInt", "long", "unsignedLong",
    "boolean", "dateTime", "base64", "hexBinary", "decimal",
}
GONE = {"deleted"}


class ModelError(Exception):
    """A reason for which a model or a part of it cannot be used."""


@dataclass
class Syntax:
    """The limits of a parameter's value, or of a named data type."""

    type: str = ""
    is_list: bool = False
    max_items: int | None = None
    ranges: list = field(default_factory=list)
    sizes: list = field(default_factory=list)
    enum: list = field(default_factory=list)
    patterns: list = field(default_factory=list)
    reference: str | None = None
    targets: list = field(default_factory=list)
    enum_of: str | None = None
    enum_null: str | None = None


@dataclass
class Parameter:
    name: str
    access: str
    status: str
    syntax: Syntax
    hidden: bool
    command: bool
    inform: bool
    notify: str | None
    default: str | None


@dataclass
class Object:
    path: str
    access: str
    status: str
    table: bool
    max_entries: int | None
    counter: str | None
    parameters: dict


class Model:
    """The official objects by path, in the order of the document."""

    def __init__(self, file):
        try:
            root = ElementTree.parse(file).getroot()
        except ElementTree.ParseError as error:
            raise ModelError(f"not XML: {error}") from None
        self.types = {t.get("name"): t for t in root.iter("dataType") if t.get("name")}
        model = next((child for child in root if child.tag == "model"), None)
        if model is None or model.get("base") or root.find("import") is not None:
            raise ModelError("not a full data model, such as tr-181-2-17-0-cwmp-full.xml")
        self.objects = {}
        for element in model.findall("object"):
            if element.get("status") not in GONE:
                self.objects[element.get("name")] = self._object(element)
        self.root = next(iter(self.objects), "")
        if self.root not in ("Device.", "InternetGatewayDevice."):
            raise ModelError("the first object is neither Device. nor InternetGatewayDevice.")
        self._drop_unknown_targets()

    def parameter(self, path, reference):
        """Returns the parameter that a reference in the object at this path names."""
        table, _, name = self._resolve(path, reference).rstrip(".").rpartition(".")
        item = self.objects.get(f"{table}.")
        if item is None or name not in item.parameters:
            raise ModelError(f"the reference {reference} leads to no parameter")
        return item.parameters[name]

    def _object(self, element):
        path = element.get("name")
        entries = element.get("maxEntries")
        parameters = {}
        for child in element.findall("parameter"):
            if child.get("status") not in GONE:
                # A name in TR-098 ends in a space.
                parameters[child.get("name").strip()] = self._parameter(path, child)
        return Object(
            path=path,
            access=element.get("access"),
            status=element.get("status") or "current",
            table=path.endswith("{i}."),
            max_entries=int(entries) if entries and entries.isdigit() else None,
            counter=element.get("numEntriesParameter"),
            parameters=parameters,
        )

    def _parameter(self, path, element):
        syntax = element.find("syntax")
        if syntax is None:
            raise ModelError(f"{path}{element.get('name')} has no syntax: only a full model can be read")
        defaults = [d for d in syntax.findall("default") if d.get("status") not in GONE]
        return Parameter(
            name=element.get("name").strip(),
            access="readOnly" if element.get("access") == "readOnly" else "readWrite",
            status=element.get("status") or "current",
            syntax=self._syntax(path, syntax),
            hidden=syntax.get("hidden") == "true" or syntax.get("secured") == "true",
            command=syntax.get("command") == "true",
            inform=element.get("forcedInform") == "true",
            notify=element.get("activeNotify"),
            default=defaults[0].get("value") if defaults else None,
        )

    def _syntax(self, path, element):
        syntax = Syntax()
        for child in element:
            if child.tag == "list":
                self._list(syntax, child)
            elif child.tag == "dataType":
                self._inherit(path, syntax, child.get("ref") or child.get("base"))
                self._facets(path, syntax, child)
            elif child.tag in BASE_TYPES:
                syntax.type = child.tag
                self._facets(path, syntax, child)
        return syntax

    def _inherit(self, path, syntax, name):
        if name not in self.types:
            raise ModelError(f"{path} has a parameter of the data type {name}, which the file does not define")
        named = self.types[name]
        if named.get("base"):
            self._inherit(path, syntax, named.get("base"))
        for child in named:
            if child.tag == "list":
                self._list(syntax, child)
            elif child.tag in BASE_TYPES:
                syntax.type = child.tag
                self._facets(path, syntax, child)
        self._facets(path, syntax, named)

    @staticmethod
    def _list(syntax, element):
        syntax.is_list = True
        if element.get("maxItems", "unbounded") != "unbounded":
            syntax.max_items = int(element.get("maxItems"))

    def _facets(self, path, syntax, element):
        """Replaces inherited facets by those that are given."""
        found = {"range": [], "size": [], "enumeration": [], "pattern": []}
        for child in element:
            if child.get("status") in GONE:
                continue
            if child.tag in found:
                found[child.tag].append(child)
            elif child.tag == "pathRef":
                syntax.reference = child.get("refType")
                targets = (child.get("targetParent") or "").split()
                syntax.targets = [self._resolve(path, target) for target in targets]
            elif child.tag == "enumerationRef":
                syntax.enum_of = child.get("targetParam")
                syntax.enum_null = child.get("nullValue")
        number = lambda e, name: int(e.get(name)) if e.get(name) is not None else None
        if found["range"]:
            syntax.ranges = [(number(r, "minInclusive"), number(r, "maxInclusive")) for r in found["range"]]
        if any(s.attrib for s in found["size"]):
            syntax.sizes = [(number(s, "minLength"), number(s, "maxLength")) for s in found["size"] if s.attrib]
        if found["enumeration"]:
            syntax.enum = [e.get("value") for e in found["enumeration"]]
        if found["pattern"]:
            syntax.patterns = [p.get("value") for p in found["pattern"]]

    @staticmethod
    def _resolve(path, target):
        """Resolves a relative path: `#.` climbs one object (a table and its `{i}` are one), a leading dot starts at the root."""
        own = re.findall(r"[^.]+(?:\.\{i\})?", path)
        climbed = len(target) - len(target.lstrip("#"))
        rest = target.lstrip("#").lstrip(".").rstrip(".")
        if target.startswith("."):
            base = own[:1]
        elif rest.split(".")[0] == own[0]:
            base = []
        else:
            base = own[: len(own) - climbed]
        return ".".join(base + ([rest] if rest else [])) + "."

    def _drop_unknown_targets(self):
        """Drops targets that are no table of the model: no value could refer to them."""
        known = {p.removesuffix("{i}.") for p, item in self.objects.items() if item.table}
        for item in self.objects.values():
            for parameter in item.parameters.values():
                targets = parameter.syntax.targets
                parameter.syntax.targets = [t for t in targets if t in known]
