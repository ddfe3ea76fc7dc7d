//! The gateway as the ACS knows it: all values and attributes of some tables, and the effect of each request on them.

use std::collections::{BTreeMap, BTreeSet};

use super::rng::SeededRng;
use crate::gateway::{self, Model};
use crate::support::{
    AcsSession, Message, Rpc, add_object, delete_object, get_parameter_attributes, get_parameter_values,
    set_parameter_attributes, set_parameter_values,
};

/// A table that the storm changes.
pub(crate) struct Table {
    /// The path below the root, `{i}` for the instance of the table that contains this one.
    pub(crate) path: &'static str,
    /// The parameter that counts its instances.
    pub(crate) count: &'static str,
    pub(crate) limit: usize,
    pub(crate) fields: &'static [(&'static str, Kind)],
}

/// The type of a field, and its range.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    /// An unsigned number, from the first to the second.
    Number(usize, usize),
    /// A number of the type `int`, up to this one.
    Int(usize),
    /// A text of at most this number of characters.
    Text(usize),
    /// An IPv4 address.
    Address,
    /// A strong reference to an instance of the table with this index.
    Reference(usize),
}

/// The part of a data model that the storm changes.
pub(crate) struct StormModel {
    pub(crate) root: &'static str,
    pub(crate) gateway: &'static Model,
    pub(crate) tables: &'static [Table],
}

pub(crate) const TR_181: StormModel = StormModel {
    root: "Device",
    gateway: &gateway::TR_181,
    tables: &[
        Table {
            path: "IP.Interface.",
            count: "IP.InterfaceNumberOfEntries",
            limit: 16,
            fields: &[("Enable", Kind::Boolean), ("MaxMTUSize", Kind::Number(64, 1500))],
        },
        Table {
            path: "NAT.PortMapping.",
            count: "NAT.PortMappingNumberOfEntries",
            limit: 64,
            fields: &[
                ("Enable", Kind::Boolean),
                ("ExternalPort", Kind::Number(0, 65535)),
                ("InternalClient", Kind::Address),
                ("Description", Kind::Text(256)),
                ("Interface", Kind::Reference(0)),
            ],
        },
        Table {
            path: "DHCPv4.Server.Pool.",
            count: "DHCPv4.Server.PoolNumberOfEntries",
            limit: 8,
            fields: &[
                ("Enable", Kind::Boolean),
                ("Order", Kind::Number(1, 99)),
                ("DomainName", Kind::Text(64)),
                ("Interface", Kind::Reference(0)),
            ],
        },
        Table {
            path: "DHCPv4.Server.Pool.{i}.StaticAddress.",
            count: "DHCPv4.Server.Pool.{i}.StaticAddressNumberOfEntries",
            limit: 64,
            fields: &[("Enable", Kind::Boolean), ("Yiaddr", Kind::Address)],
        },
    ],
};

pub(crate) const TR_098: StormModel = StormModel {
    root: "InternetGatewayDevice",
    gateway: &gateway::TR_098,
    tables: &[
        Table {
            path: "Layer3Forwarding.Forwarding.",
            count: "Layer3Forwarding.ForwardNumberOfEntries",
            limit: 64,
            fields: &[
                ("Enable", Kind::Boolean),
                ("DestIPAddress", Kind::Address),
                ("GatewayIPAddress", Kind::Address),
                ("ForwardingMetric", Kind::Int(1000)),
            ],
        },
        Table {
            path: "LANDevice.1.LANHostConfigManagement.DHCPConditionalServingPool.",
            count: "LANDevice.1.LANHostConfigManagement.DHCPConditionalPoolNumberOfEntries",
            limit: 8,
            fields: &[
                ("Enable", Kind::Boolean),
                ("PoolOrder", Kind::Number(1, 99)),
                ("VendorClassID", Kind::Text(256)),
                ("DomainName", Kind::Text(64)),
            ],
        },
        Table {
            path: "LANDevice.1.LANHostConfigManagement.DHCPConditionalServingPool.{i}.DHCPStaticAddress.",
            count: "LANDevice.1.LANHostConfigManagement.DHCPConditionalServingPool.{i}.DHCPStaticAddressNumberOfEntries",
            limit: 64,
            fields: &[("Enable", Kind::Boolean), ("Yiaddr", Kind::Address)],
        },
        Table {
            path: "LANDevice.1.LANHostConfigManagement.DHCPStaticAddress.",
            count: "LANDevice.1.LANHostConfigManagement.DHCPStaticAddressNumberOfEntries",
            limit: 64,
            fields: &[("Enable", Kind::Boolean), ("Yiaddr", Kind::Address)],
        },
    ],
};

/// The begin of the alias that the CPE gives to a new instance; its number follows.
const ALIAS: &str = "cpe-";

/// A request that changes the gateway.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Set { values: Vec<(String, String, String)>, key: String },
    Add { table: String, key: String },
    Delete { instance: String, key: String },
    Attributes { entries: Vec<(String, u8)> },
}

/// Values by full name; the notification of a parameter stands under its name with `#`.
type Values = BTreeMap<String, String>;

/// The gateway as the ACS knows it.
#[derive(Clone)]
pub(crate) struct ExpectedModel {
    model: &'static StormModel,
    values: Values,
    /// The values of a new instance of each table, by the names inside of it.
    templates: Vec<Values>,
    /// Instance numbers that were used: none may be assigned again.
    given: BTreeSet<String>,
    /// The number of interrupted changes that were applied, and of those that were not.
    pub(crate) interrupted: (usize, usize),
}

impl ExpectedModel {
    /// Reads a gateway in factory state. Adds and deletes an instance of each table to learn the values of a new one.
    pub(crate) fn explore(model: &'static StormModel, session: &mut AcsSession) -> ExpectedModel {
        let mut gateway = ExpectedModel {
            model,
            values: Values::new(),
            templates: Vec::new(),
            given: BTreeSet::new(),
            interrupted: (0, 0),
        };
        let mut made: Vec<String> = Vec::new();
        for table in model.tables {
            let path = gateway.full(table.path);
            let outer = path.split_once("{i}").map(|(outer, _)| outer.to_owned());
            let parent = outer.and_then(|outer| made.iter().find(|instance| instance.starts_with(&outer)).cloned());
            let path = match (&parent, path.split_once("{i}.")) {
                (Some(parent), Some((_, inner))) => format!("{parent}{inner}"),
                _ => path,
            };
            let answer = session.call(&add_object(&path, "")).expect("an answer");
            let instance = format!("{path}{}.", answer.argument("InstanceNumber").expect("AddObject succeeds"));
            let inside = read(session, &[&instance]);
            let inside = inside.into_iter().map(|(name, value)| (name[instance.len()..].to_owned(), value)).collect();
            gateway.templates.push(inside);
            made.push(instance);
        }
        for instance in made.iter().rev() {
            let answer = session.call(&delete_object(instance, "")).expect("an answer");
            assert_eq!(answer.argument("Status"), Some("0"), "{}", answer.xml);
            gateway.given.insert(instance.clone());
        }
        gateway.values = gateway.observe(session);
        let there: Vec<String> = (0..model.tables.len()).flat_map(|table| gateway.instances(table)).collect();
        gateway.given.extend(there);
        gateway
    }

    fn full(&self, path: &str) -> String {
        format!("{}.{path}", self.model.root)
    }

    fn key_name(&self) -> String {
        self.full("ManagementServer.ParameterKey")
    }

    /// Reads all values that the storm can change.
    fn observe(&self, session: &mut AcsSession) -> Values {
        let outer = self.model.tables.iter().filter(|table| !table.path.contains("{i}"));
        let mut paths: Vec<String> = outer.flat_map(|t| [self.full(t.path), self.full(t.count)]).collect();
        paths.push(self.key_name());
        read(session, &paths.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Compares the gateway with the expected state: all answered changes are there, and an interrupted one either
    /// completely or not at all.
    pub(crate) fn compare(&mut self, session: &mut AcsSession, in_flight: Option<&Change>) {
        let seen = self.observe(session);
        if let Some(change) = in_flight {
            let mut done = self.clone();
            if done.carry_out(change, self.new_instance(change, &seen).as_deref()) && done.values == seen {
                done.interrupted.0 += 1;
                *self = done; // R164, R215, R220: all of it, the ParameterKey too
                return;
            }
        }
        self.interrupted.1 += usize::from(in_flight.is_some());
        // R164, R171, R195, R217, R222: exactly the answered changes, after every crash
        let differences = differences(&self.values, &seen);
        assert!(differences.is_empty(), "after a crash in the middle of {in_flight:?}:\n{}", differences.join("\n"));
    }

    /// Returns the instance that AddObject has created, if there is exactly one more than before.
    fn new_instance(&self, change: &Change, seen: &Values) -> Option<String> {
        let Change::Add { table, .. } = change else { return None };
        let mut new = seen.keys().filter_map(|name| {
            let number = name.strip_prefix(table.as_str())?.split('.').next()?;
            Some(format!("{table}{number}."))
        });
        new.find(|instance| !self.has(instance))
    }

    fn has(&self, instance: &str) -> bool {
        self.values.range(instance.to_owned()..).next().is_some_and(|(name, _)| name.starts_with(instance))
    }

    /// Applies an answered request to the expected state.
    pub(crate) fn answered(&mut self, change: &Change, answer: &Message) {
        let instance = match change {
            Change::Add { table, .. } => {
                let number = answer.argument("InstanceNumber");
                let number = number.unwrap_or_else(|| panic!("{change:?} was answered by {}", answer.xml));
                Some(format!("{table}{number}."))
            }
            Change::Attributes { .. } => {
                assert_eq!(answer.method, "SetParameterAttributesResponse", "{change:?}: {}", answer.xml);
                None
            }
            _ => None,
        };
        if !matches!(change, Change::Attributes { .. }) {
            assert_eq!(answer.argument("Status"), Some("0"), "{change:?} was answered by {}", answer.xml); // R169
        }
        assert!(self.carry_out(change, instance.as_deref()));
    }

    /// Applies a request to the expected state; returns false if AddObject lacks its instance.
    fn carry_out(&mut self, change: &Change, new: Option<&str>) -> bool {
        match change {
            Change::Set { values, key } => {
                self.values.extend(values.iter().map(|(name, _, value)| (name.clone(), value.clone())));
                self.set_key(key);
            }
            Change::Attributes { entries } => {
                self.values.extend(entries.iter().map(|(name, n)| (format!("{name}#"), n.to_string())));
            }
            Change::Add { table, key } => {
                let Some(instance) = new else { return false };
                assert!(self.given.insert(instance.to_owned()), "{instance} is given a second time"); // R218
                let template = &self.templates[self.table_of(table)];
                let value_of = |name: &str, value: &str| match name == "Alias" && value.starts_with(ALIAS) {
                    true => format!("{ALIAS}{}", instance[table.len()..].trim_end_matches('.')),
                    false => value.to_owned(),
                };
                let inside = template.iter().map(|(name, value)| (format!("{instance}{name}"), value_of(name, value)));
                self.values.extend(inside.collect::<Values>()); // R215
                self.count(table, 1);
                self.set_key(key);
            }
            Change::Delete { instance, key } => {
                self.values.retain(|name, _| !name.starts_with(instance.as_str()));
                let target = instance.trim_end_matches('.');
                self.values.values_mut().filter(|value| *value == target).for_each(String::clear); // R173
                self.count(parent(instance), -1);
                self.set_key(key);
            }
        }
        true
    }

    fn set_key(&mut self, key: &str) {
        self.values.insert(self.key_name(), key.to_owned()); // R157
    }

    fn count(&mut self, table: &str, step: i64) {
        let count = self.model.tables[self.table_of(table)].count;
        let name = match count.split_once("{i}.") {
            None => self.full(count),
            Some((_, inner)) => format!("{}{inner}", parent(table)),
        };
        let value = self.values.get_mut(&name).unwrap_or_else(|| panic!("{name} is not there"));
        *value = (value.parse::<i64>().expect("a number") + step).to_string();
    }

    /// Returns the index of the table with this path.
    fn table_of(&self, path: &str) -> usize {
        let fits = |table: &Table| match self.full(table.path).split_once("{i}") {
            None => self.full(table.path) == path,
            Some((outer, inner)) => path.starts_with(outer) && path.ends_with(inner) && path.len() > outer.len(),
        };
        let tables = self.model.tables;
        tables.iter().rposition(fits).unwrap_or_else(|| panic!("{path} is not among the tables"))
    }

    /// Returns the paths of the tables with this index: one, or one in each instance of the outer table.
    fn paths(&self, table: usize) -> Vec<String> {
        let path = self.full(self.model.tables[table].path);
        let Some((outer, inner)) = path.split_once("{i}.") else { return vec![path] };
        let outer = self.table_of(outer);
        self.instances(outer).iter().map(|instance| format!("{instance}{inner}")).collect()
    }

    /// Returns the instances in all tables with this index.
    fn instances(&self, table: usize) -> Vec<String> {
        let mut found = Vec::new();
        for path in self.paths(table) {
            let names = self.values.range(path.clone()..).take_while(|(name, _)| name.starts_with(&path));
            let numbers: BTreeSet<&str> = names.filter_map(|(name, _)| name[path.len()..].split('.').next()).collect();
            found.extend(numbers.into_iter().map(|number| format!("{path}{number}.")));
        }
        found
    }

    /// Returns a random request with valid arguments.
    pub(crate) fn any_change(&self, rng: &mut SeededRng, key: &str) -> Change {
        let change = match rng.below(10) {
            0..=2 => self.any_add(rng, key),
            3 => self.any_delete(rng, key),
            4 => self.any_attributes(rng),
            _ => None,
        };
        change.unwrap_or_else(|| self.any_set(rng, key))
    }

    fn any_add(&self, rng: &mut SeededRng, key: &str) -> Option<Change> {
        let table = rng.below(self.model.tables.len());
        let paths = self.paths(table);
        let table = paths.get(rng.below(paths.len().max(1)))?.clone();
        let index = self.table_of(&table);
        let inside = self.instances(index).iter().filter(|instance| instance.starts_with(&table)).count();
        (inside < self.model.tables[index].limit).then(|| Change::Add { table, key: key.to_owned() })
    }

    /// Returns a random DeleteObject. In a table that references may point to, it keeps the factory instances, because
    /// objects outside the storm may refer to them.
    fn any_delete(&self, rng: &mut SeededRng, key: &str) -> Option<Change> {
        let table = rng.below(self.model.tables.len());
        let mut instances = self.instances(table);
        let is_target = |table: usize| {
            let fields = self.model.tables.iter().flat_map(|t| t.fields);
            fields.into_iter().any(|(_, kind)| *kind == Kind::Reference(table))
        };
        if is_target(table) {
            instances.retain(|instance| number(instance) > 3);
        }
        let instance = instances.get(rng.below(instances.len().max(1)))?.clone();
        Some(Change::Delete { instance, key: key.to_owned() })
    }

    fn any_attributes(&self, rng: &mut SeededRng) -> Option<Change> {
        let known: Vec<&String> = self.values.keys().filter(|name| name.ends_with('#')).collect();
        let mut entries = BTreeMap::new();
        for _ in 0..=rng.below(8) {
            let name = rng.pick(&known).trim_end_matches('#').to_owned();
            // Some parameters can deny active notification, and those that are forced cannot be changed: both are
            // for other tests.
            if name != self.key_name() {
                entries.insert(name, rng.below(2) as u8);
            }
        }
        (!entries.is_empty()).then(|| Change::Attributes { entries: entries.into_iter().collect() })
    }

    fn any_set(&self, rng: &mut SeededRng, key: &str) -> Change {
        let mut values = BTreeMap::new();
        let many = if rng.percent(15) { 120 } else { 12 };
        for _ in 0..rng.below(many) {
            let table = rng.below(self.model.tables.len());
            let instances = self.instances(table);
            let fields = self.model.tables[table].fields;
            if instances.is_empty() {
                continue;
            }
            let (field, kind) = *rng.pick(fields);
            let name = format!("{}{field}", rng.pick(&instances));
            values.insert(name, self.any_value(rng, kind));
        }
        let values = values.into_iter().map(|(name, (kind, value))| (name, kind, value)).collect();
        Change::Set { values, key: key.to_owned() }
    }

    fn any_value(&self, rng: &mut SeededRng, kind: Kind) -> (String, String) {
        let (kind, value) = match kind {
            Kind::Boolean => ("boolean", rng.percent(50).to_string()),
            Kind::Number(from, to) => ("unsignedInt", (from + rng.below(to - from + 1)).to_string()),
            Kind::Int(to) => ("int", rng.below(to + 1).to_string()),
            Kind::Text(limit) => {
                let text = "häßlich & <quer> \"ü\" ".chars().cycle().skip(rng.below(20));
                let text: String = text.take(rng.below(limit + 1)).collect();
                ("string", text)
            }
            Kind::Address => ("string", format!("10.{}.{}.1", rng.below(256), rng.below(256))),
            Kind::Reference(table) => {
                let targets = self.instances(table);
                ("string", rng.pick(&targets).trim_end_matches('.').to_owned())
            }
        };
        (kind.to_owned(), value)
    }
}

impl Change {
    pub(crate) fn rpc(&self) -> Rpc {
        match self {
            Change::Set { values, key } => {
                let values: Vec<_> = values.iter().map(|(n, t, v)| (n.as_str(), t.as_str(), v.as_str())).collect();
                set_parameter_values(&values, key)
            }
            Change::Add { table, key } => add_object(table, key),
            Change::Delete { instance, key } => delete_object(instance, key),
            Change::Attributes { entries } => {
                let entries: Vec<_> = entries.iter().map(|(name, n)| (name.as_str(), Some(*n), None)).collect();
                set_parameter_attributes(&entries)
            }
        }
    }
}

/// Reads values and notifications, without those that the gateway changes by itself.
fn read(session: &mut AcsSession, paths: &[&str]) -> Values {
    let lives = |name: &str| name.contains(".Stats.") || name.ends_with(".LastChange") || name.ends_with(".Status");
    let values = session.call(&get_parameter_values(paths)).expect("values");
    assert_eq!(values.method, "GetParameterValuesResponse", "{}", values.xml);
    let attributes = session.call(&get_parameter_attributes(paths)).expect("attributes");
    let values = values.parameters.into_iter().map(|parameter| (parameter.name, parameter.value));
    let attributes = attributes.attributes.into_iter().map(|entry| (format!("{}#", entry.name), entry.notification));
    values.chain(attributes).filter(|(name, _)| !lives(name.trim_end_matches('#'))).collect()
}

fn differences(expected: &Values, seen: &Values) -> Vec<String> {
    let names: BTreeSet<&String> = expected.keys().chain(seen.keys()).collect();
    let differ = names.into_iter().filter(|name| expected.get(*name) != seen.get(*name));
    differ.map(|name| format!("{name}: {:?} was answered, {:?} is there", expected.get(name), seen.get(name))).collect()
}

/// Returns the path of the object that contains an instance or a table.
fn parent(path: &str) -> &str {
    let inside = path.trim_end_matches('.');
    &inside[..inside.rfind('.').map_or(0, |dot| dot + 1)]
}

fn number(instance: &str) -> u32 {
    instance.trim_end_matches('.').rsplit('.').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}
