#!/usr/bin/env python3
"""Generates a data-model file from an official data model and a selection.

    generate.py XML SELECTION OUT                  writes the model that SELECTION takes from XML to OUT
    generate.py --select XML OBJECT... > SELECTION starts a selection: the objects, and all that is below them

XML is a full model of the Broadband Forum (tr-…-full.xml), which is no part of the repository. Facts alone are
taken from it: names, types, limits, defaults and flags, and no description.

A selection consists of sections, each headed by a path that starts at the left margin. A path
with `{i}`, or without any instance, takes an object from the official model with every parameter
that is current; a path with numbers (`[1-4]` stands for four of them) makes instances. `#` starts
a comment. The lines of a section:

    only A B C        take these parameters and no other; without a name: none
    without A B C     take all but these
    with A B C        take these too although they are deprecated
    max N             the gateway's limit of table entries
    A = VALUE         the value, in a template or an instance
    A | X, Y          fewer enumerated values than the official ones
    A readOnly        not writable here although it officially is
    A atMost N        a lower limit than the official one, or one where that has none
    A mayBeEmpty      the empty value is allowed too, although the official model demands a length
    example A B C     the values of these are examples, which `cpe-agent check` names
    example           of a table: its instances are examples
"""

import json
import re
import sys
import textwrap
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from official import Model, ModelError

# The parameter by which a path may name an instance. Each table has it that has it officially, whatever else is selected. The
# agent gives each instance its first value, and checks the others.
ALIAS = "Alias"
NULL = {
    "string": "", "int": "0", "unsignedInt": "0", "long": "0", "unsignedLong": "0",
    "boolean": "false", "dateTime": "0001-01-01T00:00:00Z", "base64": "", "hexBinary": "", "decimal": "0",
}
# The most values by which an enumeration stands for ranges with gaps.
MAX_VALUES = 64
# The value that a parameter without default takes, if the null value is not one of its enumeration.
IDLE = ["Disabled", "None", "Down", "Unknown", "Any", "Unconfigured", "Disconnected", "Other", "Error"]


def main(arguments):
    match arguments:
        case ["-h" | "--help"]:
            print(__doc__.strip())
        case ["--select", xml, *objects] if objects:
            print(select(read_model(xml), objects), end="")
        case [xml, selection, out] if not xml.startswith("-"):
            generate(read_model(xml), Path(selection), Path(out))
        case _:
            print("\n".join(__doc__.splitlines()[2:4]), file=sys.stderr)
            sys.exit(64)


def read_model(file):
    try:
        return Model(file)
    except OSError as error:
        sys.exit(f"{file}: {error.strerror}")
    except ModelError as error:
        sys.exit(f"{file}: {error}")


def generate(model, selection, out):
    generator = Generator(model, read_selection(selection))
    tree = generator.run()
    content = {"examples": generator.examples()} if generator.examples() else {}
    text = write(content | {model.root.rstrip("."): tree}) + "\n"
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        sys.exit(f"{out}: {error.strerror}")
    count = sum(1 for _ in Factory(tree, model.root).parameters())
    print(f"{out.name}: {count} parameters in factory state, {len(text)} bytes")


# ---------------------------------------------------------------- selection


@dataclass
class Section:
    path: str
    where: str
    only: list | None = None
    without: list = field(default_factory=list)
    deprecated: list = field(default_factory=list)
    max: int | None = None
    values: dict = field(default_factory=dict)
    enums: dict = field(default_factory=dict)
    read_only: set = field(default_factory=set)
    may_be_empty: set = field(default_factory=set)
    limits: dict = field(default_factory=dict)
    examples: list = field(default_factory=list)
    has_examples: bool = False

    @property
    def is_instance(self):
        return re.search(r"\.\d+\.", self.path) is not None


def read_selection(file):
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        sys.exit(f"{file}: {error.strerror}")
    except UnicodeDecodeError:
        sys.exit(f"{file}: not UTF-8")
    sections, current = [], []
    for number, line in enumerate(lines, 1):
        line = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        if not line:
            continue
        where = f"{file.name}:{number}"
        if line[0].isspace():
            if not current:
                sys.exit(f"{where}: a path at the left margin must come first")
            for section in current:
                directive(section, line.strip(), where)
            continue
        if not line.endswith("."):
            sys.exit(f"{where}: {line}: the path of an object ends with a dot")
        current = [Section(path, where) for path in expand(line)]
        sections += current
    known = {}
    for section in sections:
        earlier = known.setdefault(section.path, section)
        if earlier is not section and not section.is_instance:
            sys.exit(f"{section.where}: {section.path} has a section already at {earlier.where}")
    return sections


def expand(path):
    """Expands `[1-3]` in a path to three paths."""
    span = re.search(r"\[(\d+)-(\d+)\]", path)
    if not span:
        return [path]
    numbers = range(int(span[1]), int(span[2]) + 1)
    return [p for n in numbers for p in expand(path[: span.start()] + str(n) + path[span.end() :])]


def directive(section, text, where):
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if word == "only":
        section.only = (section.only or []) + rest.split()
    elif word == "without":
        section.without += rest.split()
    elif word == "with":
        section.deprecated += rest.split()
    elif word == "max":
        if not rest.isdigit():
            sys.exit(f"{where}: max needs a number, not {rest!r}")
        section.max = int(rest)
    elif word == "example" and not rest.startswith(("=", "|")):
        section.examples += rest.split()
        section.has_examples = section.has_examples or not rest
    elif rest.startswith("="):
        section.values[word] = rest[1:].strip()
    elif rest.startswith("|"):
        section.enums[word] = [item.strip() for item in rest[1:].split(",")]
    elif rest == "readOnly":
        section.read_only.add(word)
    elif limit := re.fullmatch(r"atMost (\d+)", rest):
        section.limits[word] = int(limit[1])
    elif rest == "mayBeEmpty":
        section.may_be_empty.add(word)
    else:
        sys.exit(f"{where}: not understood: {text}")


# ---------------------------------------------------------------- the start of a selection


def select(model, names):
    """Returns a selection of these objects with all that is current in and below them, and of the objects above them."""
    chosen = [official_path(model, name) for name in names]
    text = "# Generated by generate.py --select; its head describes the format.\n"
    for path, item in model.objects.items():
        if any(path.startswith(wanted) for wanted in chosen) and item.status == "current":
            parameters = [parameter.name for parameter in item.parameters.values() if is_current(parameter)]
        elif any(wanted.startswith(path) for wanted in chosen) and path != model.root:
            parameters = []
        else:
            continue
        text += f"\n{path}\n"
        for line in textwrap.wrap(" ".join(parameters), 100) or [""]:
            text += f"    only {line}".rstrip() + "\n"
    return text


def official_path(model, name):
    """Returns the path of an object; that of a table may lack its `{i}`."""
    for path in (name, f"{name}{{i}}.", f"{name}.", f"{name}.{{i}}."):
        if path in model.objects:
            return path
    sys.exit(unknown(name, model.objects, "an object"))


# ---------------------------------------------------------------- generation


class Generator:
    def __init__(self, model, sections):
        self.model = model
        self.templates = {s.path: s for s in sections if not s.is_instance}
        self.instances = [s for s in sections if s.is_instance]
        self.tree = {}

    def run(self):
        for path, section in self.templates.items():
            if path not in self.model.objects:
                sys.exit(f"{section.where}: {unknown(path, self.model.objects, 'an object')}")
        for path, item in self.model.objects.items():
            if path in self.templates:
                try:
                    self.add_object(item, self.templates[path])
                except ModelError as error:
                    sys.exit(f"{self.templates[path].where}: {path}: {error}")
        for section in self.instances:
            self.add_instance(section)
        self.add_interface_stack()
        Factory(self.tree, self.model.root).check()
        return self.tree

    def add_object(self, item, section):
        node = self.tree
        names = item.path.rstrip(".").split(".")[1:]
        for depth, name in enumerate(names):
            last = depth == len(names) - (2 if item.table else 1)
            if name not in node and not last and name != "{i}":
                raise ModelError(f"the object {name} above it was not selected")
            if last and item.table and name not in node:
                node[name] = self.table(item, section)
            node = node.setdefault(name, {})
        for parameter in self.chosen(item, section):
            node[parameter.name] = self.parameter(item, parameter, section)

    @staticmethod
    def table(item, section):
        table = {}
        if item.access == "readWrite":
            table["access"] = "readWrite"
        limit = section.max or item.max_entries
        if limit:
            table["maxEntries"] = limit
        return table

    def chosen(self, item, section):
        named = (section.only or []) + section.without + section.deprecated + section.examples
        for name in [*named, *section.values, *section.enums, *section.read_only, *section.may_be_empty, *section.limits]:
            if name not in item.parameters:
                raise ModelError(unknown(name, item.parameters, "a parameter"))
        for parameter in item.parameters.values():
            name = parameter.name
            wanted = name not in section.without if section.only is None else name in section.only
            wanted = wanted or (name == ALIAS and name not in section.without)
            if name in section.deprecated or (is_current(parameter) and wanted):
                if self.counted(item, name) != "":
                    yield parameter

    def counted(self, item, name):
        """Returns the table that a parameter counts; None: it counts none; "": a table that is not selected."""
        for path, table in self.model.objects.items():
            if table.table and table.counter == name and parent(path) == item.path:
                return path.split(".")[-3] if path in self.templates else ""
        return None

    def parameter(self, item, parameter, section):
        name, syntax = parameter.name, parameter.syntax
        out = {"type": syntax.type}
        if parameter.access == "readWrite" and name not in section.read_only:
            out["access"] = "readWrite"
        if syntax.is_list:
            out["list"] = True
            if syntax.max_items:
                out["maxItems"] = syntax.max_items
        self.facets(item, name, syntax, out)
        if name in section.may_be_empty:
            if "minLength" not in out:
                raise ModelError(f"{name}: only a parameter with a least length mayBeEmpty")
            least = out.pop("minLength")
            out["pattern"] = f"(|{out['pattern']})" if "pattern" in out else f"(|.{{{least},}})"
        if name in section.limits:
            limit = section.limits[name]
            if "int" not in syntax.type.lower() or out.get("max", limit) < limit:
                raise ModelError(f"{name}: only a number has a limit, and none above the official one")
            out["max"] = limit
        if name in section.enums:
            out["enum"] = section.enums[name]
        if parameter.hidden:
            out["hidden"] = True
        if parameter.inform:
            out["inform"] = True
        if parameter.notify and parameter.notify != "normal":
            out["notify"] = parameter.notify
        counts = self.counted(item, name)
        if counts:
            return out | {"counts": counts}
        if syntax.reference:
            out["reference"] = syntax.reference
            if syntax.targets:
                # A table that is not selected has no instance; an empty list allows no value but the empty one.
                out["targets"] = [t for t in syntax.targets if f"{t}{{i}}." in self.templates]
        value = self.value(item, parameter, section, out)
        if value != NULL[syntax.type]:
            out["value"] = value
        return out

    def facets(self, item, name, syntax, out):
        values = few_values(syntax.ranges)
        if not values and has_gap(sorted_spans(syntax.ranges)):
            print(f"{item.path}{name}: the model accepts the values in the gaps of {syntax.ranges} too", file=sys.stderr)
        low, high = (None, None) if values else hull(syntax.ranges)
        if low is not None and not (low == 0 and syntax.type.startswith("unsigned")):
            out["min"] = low
        if high is not None:
            out["max"] = high
        low, high = hull(syntax.sizes)
        if low:
            out["minLength"] = low
        if high is None and "access" in out and plain_string(syntax):
            high = 16  # R325: where the model says nothing at all
        if high is not None:
            out["maxLength"] = high
        enum = values or syntax.enum
        if syntax.enum_of:
            # The ACS may choose among the values that the device supports: at most the target's enumeration.
            enum = list(self.model.parameter(item.path, syntax.enum_of).syntax.enum)
            if syntax.enum_null and enum:
                enum.insert(0, syntax.enum_null)
        if enum:
            out["enum"] = enum
        if syntax.patterns:
            out["pattern"] = pattern(syntax.patterns)

    @staticmethod
    def value(item, parameter, section, out):
        if parameter.default is not None:
            given = section.values.get(parameter.name, parameter.default)
            if given != parameter.default:
                raise ModelError(f"{parameter.name}: the official default is {parameter.default!r}")
            return given
        if parameter.name in section.values:
            return section.values[parameter.name]
        null = NULL[out["type"]]
        if problem(out, null) is None:
            return null
        if "enum" in out:
            return next((v for v in IDLE if v in out["enum"]), out["enum"][0])
        return str(out["min"]) if "min" in out else null

    def add_instance(self, section):
        names = section.path.rstrip(".").split(".")[1:]
        template, node = self.tree, self.tree
        for name in names:
            key = "{i}" if name.isdigit() else name
            if key not in template:
                sys.exit(f"{section.where}: {section.path}: no such object was selected")
            template = template[key]
            node = node.setdefault(name, {})
        for name, value in section.values.items():
            if name not in template:
                sys.exit(f"{section.where}: {section.path}: {unknown(name, template, 'a parameter of its template')}")
            node[name] = value

    def examples(self):
        """Returns the examples: the parameters with their values, and the outermost tables with their instances."""
        values = {path: value for path, _, value in Factory(self.tree, self.model.root).parameters()}
        found = [
            f"{section.path}{name}={values[section.path + name]}"
            for section in self.templates.values()
            for name in section.examples
            if section.path + name in values
        ]
        tables = [path for path in Factory(self.tree, self.model.root).tables() if self.is_example(path)]
        outermost = [path for path in tables if not any(path != other and path.startswith(other) for other in tables)]
        return found + outermost

    def is_example(self, table):
        section = self.templates.get(re.sub(r"\.\d+(?=\.)", ".{i}", table) + "{i}.")
        return section is not None and section.has_examples

    def add_interface_stack(self):
        """Fills InterfaceStack, which repeats the LowerLayers parameters (TR-181)."""
        if "InterfaceStack" not in self.tree:
            return
        pairs = []
        for path, _, value in Factory(self.tree, self.model.root).parameters():
            if path.endswith(".LowerLayers") and value:
                higher = path.removesuffix(".LowerLayers")
                pairs += [(higher, lower) for lower in value.split(",")]
        for number, (higher, lower) in enumerate(pairs, 1):
            self.tree["InterfaceStack"][str(number)] = {"HigherLayer": higher, "LowerLayer": lower}


def is_current(parameter):
    return parameter.status == "current" and not parameter.command


def unknown(name, known, kind):
    """Returns the message about a name that is not known, with a near one."""
    near = get_close_matches(name, known, 1)
    return f"{name} is not {kind} of the model" + (f"; did you mean {near[0]}?" if near else "")


def parent(path):
    return re.sub(r"[^.]+\.(\{i\}\.)?$", "", path)


def plain_string(syntax):
    facets = syntax.is_list or syntax.sizes or syntax.enum or syntax.patterns or syntax.enum_of
    return syntax.type == "string" and not facets and not syntax.reference


def sorted_spans(spans):
    return sorted(spans, key=lambda s: (s[0] is not None, s[0] or 0))


def has_gap(spans):
    ends = zip(spans, spans[1:])
    return any(high is not None and low is not None and low > high + 1 for (_, high), (low, _) in ends)


def few_values(spans):
    """Returns the values of ranges with gaps, which an enumeration can express if they are few."""
    spans = sorted_spans(spans)
    if not has_gap(spans) or any(None in span for span in spans) or sum(b - a + 1 for a, b in spans) > MAX_VALUES:
        return None
    return [str(value) for low, high in spans for value in range(low, high + 1)]


def hull(spans):
    """Merges intervals; None stands for an open end."""
    if not spans:
        return None, None
    spans = sorted_spans(spans)
    ends = [high for _, high in spans]
    return spans[0][0], None if None in ends else max(ends)


def pattern(alternatives):
    """Joins patterns to one expression, which its reader anchors; \\d becomes ASCII digits for every dialect."""
    text = [a.replace(r"\d", "[0-9]") for a in alternatives]
    return text[0] if len(text) == 1 and "|" not in text[0] else "(" + "|".join(text) + ")"


# ---------------------------------------------------------------- the factory state, and its check


class Factory:
    """Yields the parameters of the factory state: instances count, templates do not."""

    def __init__(self, tree, root):
        self.tree = tree
        self.root = root

    def parameters(self):
        yield from self.walk(self.root, self.tree, self.tree)

    def walk(self, path, template, node):
        for name, schema in template.items():
            if not name[0].isupper():
                continue
            given = node.get(name)
            if "type" in schema:
                short = given if isinstance(given, str) else None
                yield path + name, schema, self.value(schema, node, name, short)
            elif "{i}" in schema:
                for number, instance in (given or {}).items():
                    if number.isdigit():
                        yield from self.walk(f"{path}{name}.{number}.", schema["{i}"], instance)
            else:
                yield from self.walk(f"{path}{name}.", schema, given or {})

    def tables(self):
        """Yields the paths of the tables that have instances."""
        known = {}
        for path, _, _ in self.parameters():
            for end in re.finditer(r"\.\d+(?=\.)", path):
                known[path[: end.start() + 1]] = True
        return list(known)

    @staticmethod
    def value(schema, node, name, short):
        if "counts" in schema:
            return str(sum(1 for key in node.get(schema["counts"]) or {} if key.isdigit()))
        return schema.get("value", NULL[schema["type"]]) if short is None else short

    def check(self):
        """Ends the program with all values that break their constraints."""
        rows = list(self.parameters())
        objects = {path[: -len(path.split(".")[-1])] for path, _, _ in rows}
        troubles = []
        for path, schema, value in rows:
            trouble = problem(schema, value)
            if trouble is None and "reference" in schema:
                trouble = dangling(schema, value, objects)
            if trouble:
                troubles.append(f"{path} = {value!r}: {trouble}")
        troubles += self.template_troubles(self.root, self.tree)
        if troubles:
            advice = "Under the object of each in the selection, add `NAME = VALUE`, or `NAME mayBeEmpty`."
            sys.exit("\n".join([*troubles, advice]))

    def template_troubles(self, path, node):
        for name, child in node.items():
            if not isinstance(child, dict) or name.isdigit():
                continue
            if "type" not in child:
                yield from self.template_troubles(f"{path}{name}.", child)
            elif "{i}" in path and "counts" not in child and (trouble := problem(child, child.get("value", NULL[child["type"]]))):
                yield f"{path}{name} = {child.get('value', NULL[child['type']])!r}: {trouble}"


def dangling(schema, value, objects):
    for item in filter(None, value.split(",")):
        row = re.sub(r"\.\d+(?=\.)", ".{i}", item.rsplit(".", 1)[0] + ".")
        if item + "." not in objects:
            return f"{item} does not exist"
        if "targets" in schema and row not in schema["targets"]:
            return f"{item} is not in {schema['targets']}"
    return None


def problem(schema, value):
    """Returns the reason for which a value breaks its constraints, or None."""
    if not schema.get("list"):
        return item_problem(schema, value)
    items = value.split(",") if value else []
    if len(items) > schema.get("maxItems", len(items)):
        return "too many items"
    return next(filter(None, (item_problem(schema, item) for item in items)), None)


def item_problem(schema, value):
    kind = schema["type"]
    if "nt" in kind or kind in ("long", "unsignedLong"):
        if not re.fullmatch(r"-?\d+" if not kind.startswith("unsigned") else r"\d+", value):
            return "not a number"
        if not schema.get("min", int(value)) <= int(value) <= schema.get("max", int(value)):
            return "out of range"
    if kind == "boolean" and value not in ("true", "false"):
        return "not a boolean"
    length = len(value) // 2 if kind == "hexBinary" else len(value)
    if not schema.get("minLength", 0) <= length <= schema.get("maxLength", length):
        return "wrong length"
    if "enum" in schema and value not in schema["enum"]:
        return "not in the enumeration"
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        return "does not match the pattern"
    return None


# ---------------------------------------------------------------- JSON in a readable layout


def write(node, indent=0):
    """Writes an object over several lines, and a parameter or a short instance on one."""
    pad = "  " * (indent + 1)
    lines = []
    for name, child in node.items():
        lines.append(f"{pad}{json.dumps(name)}: {member(name, child, indent + 1)}")
    return "{\n" + ",\n".join(lines) + "\n" + "  " * indent + "}"


def member(name, child, indent):
    if isinstance(child, list):
        pad = "  " * (indent + 1)
        return "[\n" + ",\n".join(pad + json.dumps(item) for item in child) + "\n" + "  " * indent + "]"
    if not isinstance(child, dict):
        return json.dumps(child)
    if "type" in child or not child:
        return one_line(child)
    flat = all(isinstance(v, str) for v in child.values())
    if flat and name != "{i}" and len(one_line(child)) < 100:
        return one_line(child)
    return write(child, indent)


def one_line(node):
    text = json.dumps(node, ensure_ascii=False)
    return f"{{ {text[1:-1]} }}" if node else "{}"


if __name__ == "__main__":
    main(sys.argv[1:])
