//! References of the SOAP encoding: `<ParameterList href="#id0"/>` stands for the element with `id="id0"` (SOAP 1.1
//! §5.2.1). Axis 1.x, gSOAP and early .NET write arguments so.

use std::cell::Cell;

use roxmltree::{Document, Node, NodeId};

/// The elements of one message that have an `id`, and the work that the references to them may still cause.
#[derive(Debug)]
pub(super) struct References {
    /// The elements with an `id`, in the order of the ids.
    targets: Vec<NodeId>,
    /// The number of nodes and bytes that further references may stand for.
    budget: Cell<usize>,
}

impl References {
    /// Finds the elements with an `id` in a message of `length` bytes.
    pub(super) fn of(document: &Document<'_>, length: usize) -> References {
        let targets = document.descendants().filter_map(|node| Some((node.attribute("id")?, node.id())));
        let mut targets: Vec<(&str, NodeId)> = targets.collect();
        targets.sort_by_key(|(id, _)| *id);
        // Twice the message: few targets are shared. Without a limit, a thousand references to an array of a thousand
        // references to one long text would stand for a million copies of it.
        References { targets: targets.into_iter().map(|(_, node)| node).collect(), budget: Cell::new(2 * length) }
    }

    /// Returns the element that `reference`, an element with this `href`, stands for; `None` if it cannot be told for
    /// certain, or if the budget is used up.
    pub(super) fn target<'a>(&self, reference: Node<'a, 'a>, href: &str) -> Option<Node<'a, 'a>> {
        // Another document cannot be fetched, and an element with content of its own would have two values.
        let id = href.strip_prefix('#')?;
        let has_content = |child: Node<'_, '_>| child.is_element() || child.is_text() && !is_blank(child);
        if reference.children().any(has_content) {
            return None;
        }
        let document = reference.document();
        let node = |id: &NodeId| document.get_node(*id);
        let id_of = |id: &NodeId| node(id).and_then(|node| node.attribute("id")).unwrap_or_default();
        let at = self.targets.partition_point(|other| id_of(other) < id);
        let mut found = self.targets.get(at..)?.iter().take_while(|other| id_of(other) == id);
        let target = node(found.next()?)?;
        // One step only, so that no reference leads back to itself; and of two elements with one id, neither is meant.
        if found.next().is_some() || target.has_attribute("href") {
            return None;
        }
        self.spend(target).then_some(target)
    }

    /// Takes the size of an element off the budget; returns false if the budget does not suffice.
    fn spend(&self, target: Node<'_, '_>) -> bool {
        let sizes =
            target.descendants().map(|node| 1 + if node.is_text() { node.text().map_or(0, str::len) } else { 0 });
        let left = sizes.into_iter().try_fold(self.budget.get(), usize::checked_sub);
        self.budget.set(left.unwrap_or(0));
        left.is_some()
    }
}

/// Returns true for a text of white space only.
pub(super) fn is_blank(text: Node<'_, '_>) -> bool {
    text.text().is_none_or(|text| text.trim_matches(super::element::SPACE).is_empty())
}
