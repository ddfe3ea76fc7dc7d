//! The official models as the XML states them: facts of objects and parameters, by path.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

const BASE_TYPES: [&str; 10] =
    ["string", "int", "unsignedInt", "long", "unsignedLong", "boolean", "dateTime", "base64", "hexBinary", "decimal"];

/// An inclusive interval; `None` is an open end.
pub(crate) type Span = (Option<i128>, Option<i128>);

/// A parameter of the XML, its data types resolved.
#[derive(Clone, Default, Debug)]
pub(crate) struct Parameter {
    pub(crate) kind: String,
    pub(crate) writable: bool,
    pub(crate) list: bool,
    pub(crate) max_items: Option<u64>,
    pub(crate) range: Option<Span>,
    pub(crate) size: Option<Span>,
    pub(crate) enumeration: Vec<String>,
    pub(crate) patterns: Vec<String>,
    pub(crate) default: Option<String>,
    pub(crate) hidden: bool,
    pub(crate) inform: bool,
    pub(crate) notify: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) targets: Vec<String>,
    /// The parameter that lists the supported values, and the value that stands for none of them.
    choice_of: Option<(String, Option<String>)>,
}

/// An object of the XML.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) writable: bool,
    pub(crate) max_entries: Option<u64>,
    pub(crate) counter: Option<String>,
    pub(crate) parameters: BTreeMap<String, Parameter>,
}

/// Objects by path, `{i}` for every instance, with a trailing dot.
pub(crate) type Model = BTreeMap<String, Object>;

/// Reads one of the official documents.
pub(crate) fn read(text: &str) -> Model {
    let document = Document::parse(text).expect("official XML is well-formed");
    let root = document.root_element();
    let types: BTreeMap<&str, Node> = root
        .children()
        .filter(|node| node.has_tag_name("dataType"))
        .filter_map(|node| Some((node.attribute("name")?, node)))
        .collect();
    let model = child(root, "model").expect("a model element");
    let mut objects: Model =
        present(model, "object").map(|node| (attribute(node, "name"), object(node, &types))).collect();
    resolve_choices(&mut objects);
    drop_unknown_targets(&mut objects);
    objects
}

fn object(node: Node, types: &BTreeMap<&str, Node>) -> Object {
    let path = attribute(node, "name");
    let parameters =
        present(node, "parameter").map(|node| (attribute(node, "name"), parameter(&path, node, types))).collect();
    Object {
        writable: node.attribute("access") != Some("readOnly"),
        max_entries: node.attribute("maxEntries").and_then(|n| n.parse().ok()),
        counter: node.attribute("numEntriesParameter").map(str::to_owned),
        parameters,
    }
}

fn parameter(path: &str, node: Node, types: &BTreeMap<&str, Node>) -> Parameter {
    let syntax = child(node, "syntax").expect("a parameter has a syntax");
    let flag = |name| syntax.attribute(name) == Some("true");
    let mut out = Parameter {
        writable: node.attribute("access") != Some("readOnly"),
        hidden: flag("hidden") || flag("secured"),
        inform: node.attribute("forcedInform") == Some("true"),
        notify: node.attribute("activeNotify").map(str::to_owned),
        default: present(syntax, "default").next().map(|node| attribute(node, "value")),
        ..Parameter::default()
    };
    apply(&mut out, path, syntax, types);
    out
}

/// Applies a `syntax` or a named `dataType`; the one nearer to the parameter comes later and wins.
fn apply(out: &mut Parameter, path: &str, node: Node, types: &BTreeMap<&str, Node>) {
    for part in node.children().filter(Node::is_element) {
        let name = part.tag_name().name();
        if name == "list" {
            out.list = true;
            out.max_items = part.attribute("maxItems").and_then(|n| n.parse().ok());
        } else if name == "dataType" {
            let named = part.attribute("ref").or(part.attribute("base")).expect("a data type's name");
            inherit(out, path, types[named], types);
            facets(out, path, part);
        } else if BASE_TYPES.contains(&name) {
            out.kind = name.to_owned();
            facets(out, path, part);
        }
    }
}

fn inherit(out: &mut Parameter, path: &str, named: Node, types: &BTreeMap<&str, Node>) {
    if let Some(base) = named.attribute("base") {
        inherit(out, path, types[base], types);
    }
    apply(out, path, named, types);
    facets(out, path, named);
}

fn facets(out: &mut Parameter, path: &str, node: Node) {
    let values = |tag| present(node, tag).map(|n| attribute(n, "value")).collect::<Vec<_>>();
    let enumeration = values("enumeration");
    if !enumeration.is_empty() {
        out.enumeration = enumeration;
    }
    let patterns = values("pattern");
    if !patterns.is_empty() {
        out.patterns = patterns;
    }
    out.range = spans(node, "range", "minInclusive", "maxInclusive").or(out.range);
    out.size = spans(node, "size", "minLength", "maxLength").or(out.size);
    if let Some(reference) = child(node, "pathRef") {
        out.reference = reference.attribute("refType").map(str::to_owned);
        let targets = reference.attribute("targetParent").unwrap_or_default();
        out.targets = targets.split_whitespace().map(|target| absolute(path, target)).collect();
    }
    if let Some(choice) = child(node, "enumerationRef") {
        let null = choice.attribute("nullValue").map(str::to_owned);
        let target = absolute(path, &attribute(choice, "targetParam"));
        out.choice_of = Some((target.trim_end_matches('.').to_owned(), null));
    }
}

/// The union of the intervals that the facets of one name describe; they have to touch.
fn spans(node: Node, tag: &str, low: &str, high: &str) -> Option<Span> {
    let number = |n: Node, name| n.attribute(name).map(|text| text.parse::<i128>().expect("a number"));
    let mut all: Vec<Span> =
        present(node, tag).filter(|n| n.attributes().len() > 0).map(|n| (number(n, low), number(n, high))).collect();
    all.sort_by_key(|span| span.0.unwrap_or(i128::MIN));
    let touching = all.windows(2).all(|pair| match (pair[0].1, pair[1].0) {
        (Some(end), Some(start)) => start <= end + 1,
        _ => true,
    });
    let (first, open) = (all.first()?.0, all.iter().any(|span| span.1.is_none()));
    let last = all.iter().filter_map(|span| span.1).max().filter(|_| !open);
    // An interval that no value meets makes every parameter with a gap fail the comparison.
    Some(if touching { (first, last) } else { (Some(1), Some(0)) })
}

/// `#` climbs one object, a leading dot starts at the root; a table and its `{i}` are one step.
fn absolute(path: &str, target: &str) -> String {
    let rest = target.trim_start_matches('#');
    let climbed = target.len() - rest.len();
    let root = path.split('.').next().expect("a path has a root");
    let rest = rest.trim_matches('.');
    if rest.split('.').next() == Some(root) {
        return format!("{rest}.");
    }
    let mut base = path.to_owned();
    if target.starts_with('.') {
        base = format!("{root}.");
    }
    for _ in 0..climbed {
        let inner = base.strip_suffix("{i}.").unwrap_or(&base).trim_end_matches('.');
        base.truncate(inner.rfind('.').map_or(0, |dot| dot + 1));
    }
    if rest.is_empty() { base } else { format!("{base}{rest}.") }
}

/// Gives a parameter that chooses from a list of supported values the enumeration of that list.
fn resolve_choices(objects: &mut Model) {
    let values = |(path, object): (&String, &Object)| {
        let named =
            object.parameters.iter().map(|(name, parameter)| (format!("{path}{name}"), parameter.enumeration.clone()));
        named.collect::<Vec<_>>()
    };
    let known: BTreeMap<String, Vec<String>> = objects.iter().flat_map(values).collect();
    for parameter in objects.values_mut().flat_map(|object| object.parameters.values_mut()) {
        let Some((target, null)) = parameter.choice_of.take() else {
            continue;
        };
        if let Some(values) = known.get(&target).filter(|values| !values.is_empty()) {
            parameter.enumeration = null.into_iter().chain(values.clone()).collect();
        }
    }
}

/// Drops reference targets that are no table of the model, which no value could meet.
fn drop_unknown_targets(objects: &mut Model) {
    let tables: Vec<String> = objects.keys().filter_map(|path| path.strip_suffix("{i}.")).map(str::to_owned).collect();
    for parameter in objects.values_mut().flat_map(|object| object.parameters.values_mut()) {
        parameter.targets.retain(|target| tables.contains(target));
    }
}

/// The children of that name that later versions of the model have not deleted.
fn present<'a, 'input: 'a>(node: Node<'a, 'input>, tag: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    let tag = tag.to_owned();
    node.children()
        .filter(move |child| child.has_tag_name(tag.as_str()) && child.attribute("status") != Some("deleted"))
}

fn child<'a, 'input>(node: Node<'a, 'input>, tag: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(tag))
}

fn attribute(node: Node, name: &str) -> String {
    node.attribute(name).unwrap_or_default().to_owned()
}
