//! The provider `stack`: the table InterfaceStack of TR-181, which repeats the parameters LowerLayers of all interfaces.

use crate::model::path::Path;
use crate::model::source::provider::STACK;
use crate::model::source::{Query, Row, Target};
use crate::model::tree::{Tree, Wanted};

/// The objects of TR-181 whose instances have LowerLayers.
const LAYERS: [&str; 7] = [
    "Device.Bridging.Bridge.",
    "Device.DSL.",
    "Device.Ethernet.",
    "Device.IP.Interface.",
    "Device.PPP.Interface.",
    "Device.WiFi.Radio.",
    "Device.WiFi.SSID.",
];

/// The name of the parameter with the paths of the interfaces below.
const LOWER_LAYERS: &str = ".LowerLayers";

/// Removes the question for the stack from a list, and returns it.
pub(super) fn take_query(queries: &mut Vec<Query>) -> Option<Query> {
    let is_stack =
        |query: &Query| matches!(&query.target, Target::BuiltIn { provider, .. } if provider.as_str() == STACK);
    let at = queries.iter().position(is_stack)?;
    Some(queries.remove(at))
}

/// Returns the interfaces from which the stack follows.
pub(super) fn layers() -> Wanted {
    Wanted::instances(LAYERS.map(str::to_owned).into())
}

/// Returns the names of the parameters from which the stack follows.
pub(super) fn names(tree: &Tree) -> Vec<String> {
    let mut names = Vec::new();
    for object in LAYERS {
        let Ok(path) = Path::parse(object) else { continue };
        // A model may lack the object.
        let _ = tree.visit_values(&path, &mut |parameter| {
            if parameter.name.ends_with(LOWER_LAYERS) {
                names.push(parameter.name.to_owned());
            }
        });
    }
    names
}

/// Returns a row for each interface and each one below it. The key is both paths.
pub(super) fn rows(tree: &Tree, names: &[String]) -> Vec<Row> {
    let (mut rows, mut finder) = (Vec::new(), tree.finder());
    for name in names {
        let Some(higher) = name.strip_suffix(LOWER_LAYERS) else { continue };
        // One of them may have gone meanwhile.
        let _ = finder.visit(name, &mut |parameter| {
            let lower = parameter.value().to_string();
            for lower in lower.split(',').map(str::trim).filter(|lower| !lower.is_empty()) {
                let mut row = Row::new(format!("{higher} {lower}"));
                row.set("higher", higher);
                row.set("lower", lower);
                rows.push(row);
            }
        });
    }
    rows
}
