//! Builds parameters: their type, default, facets and references.

use std::rc::Rc;

use super::{Built, SchemaBuilder, Tables, pointer, table_index};
use crate::model::attributes::{ActiveNotify, Notification};
use crate::model::expression;
use crate::model::facets::Facets;
use crate::model::raw::{Object, is_node};
use crate::model::schema::{Contains, NodeKind, Reference, Spec};
use crate::model::value::Type;
use crate::suggest::hint;

/// The members that a parameter may have; a member of another name is an error, since it may be misspelt.
pub(super) const PARAMETER_MEMBERS: &[&str] = &[
    "type",
    "access",
    "value",
    "minLength",
    "maxLength",
    "min",
    "max",
    "enum",
    "pattern",
    "list",
    "maxItems",
    "hidden",
    "inform",
    "notify",
    "counts",
    "reference",
    "targets",
    "source",
];

impl<'a> SchemaBuilder<'a> {
    /// Builds a parameter: gives it a slot in its scope, and shares its description with equal ones.
    pub(super) fn parameter(&mut self, raw: &Object<'a>, scope: usize, tables: &Tables<'_>) -> (NodeKind, Contains) {
        self.check_members(raw, PARAMETER_MEMBERS);
        for (name, _) in raw.members().filter(|(name, _)| is_node(name)) {
            self.reject(raw.file, &pointer(name), "a parameter (a node with a `type`) holds no nodes");
        }
        let kind = self.kind(raw);
        // A string accepts every value, so that a wrong type causes no other mistake.
        let known = kind.unwrap_or(Type::String);
        let mut spec = Spec {
            kind: known,
            writable: self.note(self.writable(raw)).unwrap_or_default(),
            hidden: self.note(self.flag(raw, "hidden")).unwrap_or_default(),
            inform: self.note(self.flag(raw, "inform")).unwrap_or_default(),
            active_notify: self.note(self.active_notify(raw)).unwrap_or_default(),
            default: known.null(),
            counted_table: self.note(self.counted_table(raw, tables)).flatten(),
            facets: kind.and_then(|kind| self.facets(raw, kind)),
            reference: self.reference(raw),
        };
        // A list is a string, so that its null value is the empty list and not that of its items.
        spec.default = spec.wire_type().null();
        if let Some(text) = self.note(self.text(raw, "value")).flatten() {
            let value = spec.parse_with(text, self.patterns);
            let value = value.map_err(|reason| self.error(raw.file, "/value", spec.explain(&reason, text)));
            if let Some(value) = self.note(value) {
                spec.default = value;
            }
        }
        if kind.is_some() {
            self.note(self.check_counts(raw, &spec));
        }
        let has_source = self.field(raw, &mut spec);
        // The slot is the index of the value in every instance of the scope.
        let slot = self.scopes[scope].slots;
        self.scopes[scope].slots += 1;
        let reference = spec.reference.as_ref().is_some_and(|reference| reference.is_checked());
        let notifies = spec.active_notify.default_attributes().notification != Notification::Off;
        let contains = Contains::INFORM
            .when(spec.inform)
            .and(Contains::REFERENCE.when(reference))
            .and(Contains::SOURCE.when(has_source))
            .and(Contains::NOTIFIES.when(notifies));
        (NodeKind::Parameter { slot, spec: self.specs.intern(spec) }, contains)
    }

    /// Reads the type, or notes that there is no such type.
    fn kind(&self, raw: &Object<'_>) -> Option<Type> {
        let name = self.note(self.text(raw, "type")).flatten()?;
        let kind = Type::from_name(name);
        if kind.is_none() {
            let known = hint(name, &Type::NAMES.map(|(name, _)| name), "types", "");
            self.reject(raw.file, "/type", &format!("`{name}` is not a type{known}"));
        }
        kind
    }

    /// Returns the index of the table that the parameter counts, which must be its sibling.
    fn counted_table(&self, raw: &Object<'_>, tables: &Tables<'_>) -> Built<Option<u32>> {
        match self.text(raw, "counts")? {
            Some(table) => match table_index(tables, table) {
                Some(index) => Ok(Some(index)),
                None => Err(self.error(raw.file, "/counts", format!("no table `{table}` beside this parameter"))),
            },
            None => Ok(None),
        }
    }

    /// Rejects a parameter that counts instances and has another type, or a value, of its own.
    fn check_counts(&self, raw: &Object<'_>, spec: &Spec) -> Built<()> {
        if spec.counted_table.is_none() {
            return Ok(());
        }
        // The data models define every `…NumberOfEntries` as such a parameter.
        if spec.kind != Type::UnsignedInt || spec.writable || spec.is_list() {
            return Err(self.error(raw.file, "/counts", "only a read-only unsignedInt can count instances"));
        }
        match raw.get("value") {
            Some(_) => Err(self.error(raw.file, "/value", "it counts instances, so that it has no value of its own")),
            None => Ok(()),
        }
    }

    /// Reads the rule for active notification.
    fn active_notify(&self, raw: &Object<'_>) -> Built<ActiveNotify> {
        match self.text(raw, "notify")? {
            None => Ok(ActiveNotify::Normal),
            Some("forceEnabled") => Ok(ActiveNotify::ForceEnabled),
            Some("forceDefaultEnabled") => Ok(ActiveNotify::ForceDefaultEnabled),
            Some("canDeny") => Ok(ActiveNotify::CanDeny),
            Some(_) => {
                Err(self.error(raw.file, "/notify", "`forceEnabled`, `forceDefaultEnabled` or `canDeny` is needed"))
            }
        }
    }

    /// Reads the facets; `None` if the parameter has none, or wrong ones.
    fn facets(&mut self, raw: &Object<'_>, kind: Type) -> Option<Rc<Facets>> {
        let facets = Facets {
            min_length: self.note(self.bound(raw, "minLength")).flatten(),
            max_length: self.note(self.bound(raw, "maxLength")).flatten(),
            min: self.note(self.number(raw, "min")).flatten(),
            max: self.note(self.number(raw, "max")).flatten(),
            enumeration: self.note(self.texts(raw, "enum")).unwrap_or_default(),
            pattern: self.note(self.text(raw, "pattern")).flatten().map(Into::into),
            list: self.note(self.flag(raw, "list")).unwrap_or_default(),
            max_items: self.note(self.bound(raw, "maxItems")).flatten(),
        };
        // `None` stands for empty facets, which most parameters have.
        if facets == Facets::default() {
            return None;
        }
        // Each set of facets is checked once for each type: an `int` may have a range, and a `boolean` may not.
        let this_type = 1 << kind as u16;
        let known = self.facets.get_key_value(&facets).map(|(shared, types)| (Rc::clone(shared), *types));
        let (shared, types) = known.unwrap_or_else(|| (Rc::new(facets), 0));
        if types & this_type == 0 {
            if !self.check_facets(raw, kind, &shared) {
                return None;
            }
            self.facets.insert(Rc::clone(&shared), types | this_type);
        }
        Some(shared)
    }

    /// Rejects facets that the type cannot have, or that no value could meet. Returns true if there are none.
    fn check_facets(&self, raw: &Object<'_>, kind: Type, facets: &Facets) -> bool {
        let before = self.location.mistakes.borrow().count();
        // Facets that the type cannot have would be ignored by every check of a value: the author expects a limit.
        let of_texts = matches!(kind, Type::String | Type::Base64 | Type::HexBinary);
        if !kind.is_numeric() && (facets.min.is_some() || facets.max.is_some()) {
            let member = if facets.min.is_some() { "/min" } else { "/max" };
            self.reject(raw.file, member, &format!("a {} has no range", kind.name()));
        }
        if !of_texts && (facets.min_length.is_some() || facets.max_length.is_some()) {
            let member = if facets.min_length.is_some() { "/minLength" } else { "/maxLength" };
            self.reject(raw.file, member, &format!("a {} has no length", kind.name()));
        }
        if facets.min.zip(facets.max).is_some_and(|(min, max)| min > max) {
            self.reject(raw.file, "/min", "more than `max`");
        }
        if facets.min_length.zip(facets.max_length).is_some_and(|(min, max)| min > max) {
            self.reject(raw.file, "/minLength", "more than `maxLength`");
        }
        if facets.max_items.is_some() && !facets.list {
            self.reject(raw.file, "/maxItems", "only a `list` has items");
        }
        for allowed in &facets.enumeration {
            // Values are compared with these texts, so that each must be a literal of the type.
            if let Err(reason) = kind.parse(allowed) {
                self.reject(raw.file, "/enum", &format!("`{allowed}`: {reason}"));
            }
        }
        if let Some(Err(error)) = facets.pattern.as_deref().map(|pattern| self.patterns.compile(pattern)) {
            self.reject(raw.file, "/pattern", &expression::reason(&error));
        }
        self.location.mistakes.borrow().count() == before
    }

    /// Reads the rule for references; `None` if the value is no path.
    fn reference(&mut self, raw: &Object<'_>) -> Option<Rc<Reference>> {
        let strong = match self.note(self.text(raw, "reference"))? {
            Some("strong") => true,
            Some("weak") => false,
            Some(_) => {
                self.reject(raw.file, "/reference", "`strong` or `weak` is needed");
                return None;
            }
            // The targets would never be checked.
            None if raw.get("targets").is_some() => {
                self.reject(raw.file, "/targets", "only a `reference` has targets");
                return None;
            }
            None => return None,
        };
        // Few distinct rules serve hundreds of parameters, so that equal ones are shared.
        let targets = raw.get("targets").and_then(|_| self.note(self.texts(raw, "targets")));
        let reference = Reference { strong, targets };
        if let Some(shared) = self.references.get(&reference) {
            return Some(Rc::clone(shared));
        }
        let shared = Rc::new(reference);
        self.references.insert(Rc::clone(&shared));
        self.targets.push((raw.file, self.location.pointer.clone(), Rc::clone(&shared)));
        Some(shared)
    }
}
