//! Addressing of instances by alias and wildcard, with both shipped models (R317 to R322).

use std::time::Duration;

use super::gateway::Gateway;
use crate::gateway::{Model, TR_181};
use crate::support::{
    AcsOptions, AcsSession, ManualAcs, Message, add_object, delete_object, get_parameter_attributes,
    get_parameter_names, get_parameter_values, set_parameter_attributes, set_parameter_values,
};

/// A text parameter in the outer table of each model, and one in the inner table.
const TEXT: &str = "DomainName";
const INNER_TEXT: &str = "Yiaddr";

/// Starts a session with a gateway in factory state.
fn with_gateway(model: &'static Model, steps: impl FnOnce(&Model, &mut AcsSession)) -> Gateway {
    let mut gateway = Gateway::new(model);
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |inform, session| {
        let supported = gateway.management("AliasBasedAddressing");
        assert_eq!(inform.value(&supported), Some("true")); // R103, R104, R317
        steps(gateway.model, session);
    });
    gateway
}

/// Returns the names of a response, in its order.
fn names(answer: &Message) -> Vec<String> {
    answer.parameters.iter().map(|parameter| parameter.name.clone()).collect()
}

/// Returns a name with the alias of the instance around the outer table of TR-098, to which the ACS has given none.
fn by_alias(name: &str) -> String {
    name.replace("LANDevice.1.", "LANDevice.[cpe-1].")
}

fn set_mode(model: &Model, session: &mut AcsSession, mode: &str) {
    session.set(model.at("ManagementServer.InstanceMode"), "string", mode);
}

/// R317, R319, R320: an instance that is added by its alias is addressed by alias and number in every method, and the response
/// has the form of the request.
fn every_method_accepts_an_alias(model: &'static Model) {
    let mut gateway = with_gateway(model, |model, session| {
        let outer = model.outer;
        let number = session.succeeds(&add_object(&format!("{outer}[guest]."), "key"));
        let number = number.argument("InstanceNumber").expect("a number").to_owned();
        assert_eq!(session.value(&format!("{outer}{number}.Alias")), "guest");
        session.set(&format!("{outer}[guest].{TEXT}"), "string", "guest.example");
        assert_eq!(session.value(&format!("{outer}{number}.{TEXT}")), "guest.example");

        let inner = format!("{outer}[guest].{}", model.inner);
        let added = session.succeeds(&add_object(&format!("{inner}[printer]."), ""));
        assert_eq!(added.argument("InstanceNumber"), Some("1"));
        // The nodes of the request keep their form, and those below are numbers.
        for (path, expected) in [
            (format!("{outer}[guest]."), format!("{inner}1.{INNER_TEXT}")),
            (format!("{inner}[printer]."), format!("{inner}[printer].{INNER_TEXT}")),
            (format!("{inner}[printer].{INNER_TEXT}"), format!("{inner}[printer].{INNER_TEXT}")),
            (format!("{outer}{number}."), format!("{outer}{number}.{}1.{INNER_TEXT}", model.inner)),
        ] {
            let values = names(&session.succeeds(&get_parameter_values(&[&path])));
            assert!(values.contains(&expected), "{path}: {values:?}");
            assert!(values.iter().all(|name| name.starts_with(&path)), "{path}: {values:?}");
            let attributes = session.succeeds(&get_parameter_attributes(&[&path]));
            assert!(attributes.attributes.iter().any(|entry| entry.name == expected), "{path}");
            let listed = session.succeeds(&get_parameter_names(&path, false));
            assert!(listed.writable(&path).is_some() && listed.writable(&expected).is_some(), "{path}"); // R185
        }
        session.succeeds(&set_parameter_attributes(&[(&format!("{inner}[printer]."), Some(1), None)]));
        let by_number = format!("{outer}{number}.{}1.{INNER_TEXT}", model.inner);
        let attributes = session.succeeds(&get_parameter_attributes(&[&by_number]));
        assert_eq!(attributes.attributes[0].notification, "1");
    });
    gateway.crash_and_reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let inner = format!("{}[guest].{}", gateway.model.outer, gateway.model.inner);
        session.set(&format!("{inner}[printer].Alias"), "string", "Printer-2");
        session.refuses(&get_parameter_values(&[&format!("{inner}[printer].")]), 9005);
        let name = format!("{inner}[Printer-2].{INNER_TEXT}");
        // R321: the attributes follow the instance.
        let attributes = session.succeeds(&get_parameter_attributes(&[&name]));
        assert_eq!(attributes.attributes[0].notification, "1");
        session.refuses(&get_parameter_values(&[&name.replace("Printer", "printer")]), 9005); // R318
        session.succeeds(&delete_object(&format!("{inner}[Printer-2]."), ""));
        session.refuses(&get_parameter_values(&[&name]), 9005);
        assert!(session.succeeds(&get_parameter_values(&[&inner])).parameters.is_empty());
    });
}
both_models!(every_method_accepts_an_alias);

/// R318: the agent gives each instance an alias of its own, and the aliases of a table differ.
fn aliases_are_unique(model: &'static Model) {
    let mut gateway = with_gateway(model, |model, session| {
        let outer = model.outer;
        let numbers = ["", "", "[cpe-9].", "[other]."].map(|alias| {
            let answer = session.succeeds(&add_object(&format!("{outer}{alias}"), ""));
            answer.argument("InstanceNumber").expect("a number").to_owned()
        });
        let alias = |number: &str| format!("{outer}{number}.Alias");
        let [first, second, ..] = &numbers;
        assert_eq!(session.value(&alias(first)), format!("cpe-{first}"));
        assert_ne!(session.value(&alias(first)), session.value(&alias(second)));
        // R320: an alias in use, and texts that are none.
        let long = "a".repeat(65);
        for name in ["other", "", "1a", "_a", "a b", "a.b", "[a]", "\u{e4}", &long] {
            session.refuses(&add_object(&format!("{outer}[{name}]."), ""), 9005);
            let refused = session.refuses(&set_parameter_values(&[(&alias(first), "string", name)], ""), 9003);
            assert_eq!(refused.fault.expect("a fault").parameters[0].1, 9007, "{name}");
        }
        // Two instances change their aliases with each other, and cannot get the same one.
        let (a, b) = (alias(first), alias(second));
        session.refuses(&set_parameter_values(&[(&a, "string", "same"), (&b, "string", "same")], ""), 9003);
        let (of_a, of_b) = (session.value(&a), session.value(&b));
        session.succeeds(&set_parameter_values(&[(&a, "string", &of_b), (&b, "string", &of_a)], ""));
        assert_eq!([session.value(&a), session.value(&b)], [of_b, of_a]);
        // Longest alias.
        session.set(&a, "string", &"a".repeat(64));
    });
    gateway.crash_and_reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        session.value(&format!("{}[{}].{TEXT}", gateway.model.outer, "a".repeat(64)));
        session.value(&format!("{}[cpe-9].{TEXT}", gateway.model.outer));
    });
}
both_models!(aliases_are_unique);

/// R319: InstanceMode decides how the agent names instances where no request does.
fn instance_mode_names_instances(model: &'static Model) {
    let mut gateway = with_gateway(model, |model, session| {
        let outer = model.outer;
        session.succeeds(&add_object(&format!("{outer}[guest]."), ""));
        session.succeeds(&add_object(&format!("{outer}[guest].{}[printer].", model.inner), ""));
        set_mode(model, session, "InstanceAlias");
        let path = format!("{outer}[guest].{}[printer].", model.inner);
        let text = format!("{path}{INNER_TEXT}");
        // The nodes of the request keep their form, also numbers.
        for (name, expected) in
            [(&*text, text.clone()), (outer, text.clone()), (model.at(""), by_alias(&text)), ("", by_alias(&text))]
        {
            let found = names(&session.succeeds(&get_parameter_values(&[name])));
            assert!(found.contains(&expected), "{name}: {found:?}");
        }
        let listed = session.succeeds(&get_parameter_names(outer, true));
        assert!(listed.writable(&format!("{outer}[guest].")).is_some());
        session.succeeds(&set_parameter_attributes(&[(&text, Some(2), None)]));
    });
    // 4 VALUE CHANGE names the parameter by its aliases.
    let path = format!("{}[guest].{}[printer].", gateway.model.outer, gateway.model.inner);
    gateway.agent.succeeds(&["set", &format!("{path}{INNER_TEXT}=192.0.2.9")]);
    gateway.acs.expect_session(&["4 VALUE CHANGE"], |inform, session| {
        assert_eq!(inform.value(&by_alias(&format!("{path}{INNER_TEXT}"))), Some("192.0.2.9"));
        set_mode(gateway.model, session, "InstanceNumber");
    });
    gateway.agent.succeeds(&["set", &format!("{path}{INNER_TEXT}=192.0.2.10")]);
    gateway.acs.expect_session(&["4 VALUE CHANGE"], |inform, _| {
        let changed = inform.parameters.iter().find(|parameter| parameter.value == "192.0.2.10").expect("the change");
        assert!(!changed.name.contains('['), "{}", changed.name);
    });
    gateway.crash_and_reboot();
}
both_models!(instance_mode_names_instances);

/// R140: another ACS gets numbers, whatever the last one has chosen; the choice of the new one stays.
fn another_acs_gets_numbers(model: &'static Model) {
    let other = ManualAcs::start(AcsOptions::new());
    let mut gateway = with_gateway(model, |model, session| {
        set_mode(model, session, "InstanceAlias");
        session.set(model.at("ManagementServer.URL"), "string", &other.url());
    });
    let mode = gateway.management("InstanceMode");
    other.expect_session(&["0 BOOTSTRAP"], |_, session| {
        assert_eq!(session.value(&mode), "InstanceNumber");
        set_mode(model, session, "InstanceAlias");
    });
    gateway.agent.kill9();
    gateway.agent.reboot();
    other.expect_session(&["1 BOOT"], |_, session| assert_eq!(session.value(&mode), "InstanceAlias"));
}
both_models!(another_acs_gets_numbers);

/// R320: SetParameterValues creates the instances of unknown aliases, on all levels, with all values of the request or not at all.
fn set_parameter_values_creates_instances(model: &'static Model) {
    let mut gateway = with_gateway(model, |model, session| {
        let outer = model.outer;
        let count = session.value(model.outer_count);
        let text = format!("{outer}[new].{TEXT}");
        let inner = format!("{outer}[new].{}[in].{INNER_TEXT}", model.inner);
        let both = [(text.as_str(), "string", "new.example"), (inner.as_str(), "string", "192.0.2.7")];
        let refused = session.refuses(&set_parameter_values(&both, ""), 9003);
        let parameters = refused.fault.expect("a fault").parameters;
        assert!(parameters.iter().map(|(name, code, _)| (name.as_str(), *code)).eq([(&*text, 9005), (&*inner, 9005)]));
        session.set(model.at("ManagementServer.AutoCreateInstances"), "boolean", "true");
        for wrong in [
            format!("{outer}[new].Nothing"),
            format!("{outer}[1new].{TEXT}"),
            format!("{}[new].Active", model.hosts),
            model.at("DeviceInfo.[new].UpTime").to_owned(),
            format!("{outer}[new].{}", model.inner_count),
        ] {
            let values = [both[0], (wrong.as_str(), "string", "1"), both[1]];
            let refused = session.refuses(&set_parameter_values(&values, ""), 9003);
            assert_eq!(refused.fault.expect("a fault").parameters[0].0, wrong);
            assert_eq!(session.value(model.outer_count), count, "{wrong}");
        }
        let answer = session.succeeds(&set_parameter_values(&both, "created"));
        assert_eq!(answer.argument("Status"), Some("0"));
        assert_eq!(session.value(&inner), "192.0.2.7");
        assert_eq!(session.value(&format!("{outer}[new].{}", model.inner_count)), "1");
        // No number that was refused is used up, and the same request again creates nothing.
        session.succeeds(&set_parameter_values(&both, "again"));
        assert_eq!(session.value(model.outer_count), (count.parse::<u32>().expect("a number") + 1).to_string());
        // One parameter by alias and by number is the same one.
        let listed = session.succeeds(&get_parameter_names(outer, true));
        let last = listed.names.iter().map(|entry| entry.name.clone()).next_back().expect("an instance");
        session.refuses(&set_parameter_values(&[both[0], (&format!("{last}{TEXT}"), "string", "b")], ""), 9003);
        for number in 0..8 {
            let name = format!("{outer}[more{number}].{TEXT}");
            let _ = session.call(&set_parameter_values(&[(&name, "string", "x")], ""));
        }
        let full =
            session.refuses(&set_parameter_values(&[(&format!("{outer}[full].{TEXT}"), "string", "x")], ""), 9004);
        assert!(full.fault.expect("a fault").parameters.is_empty());
    });
    gateway.crash_and_reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let outer = gateway.model.outer;
        assert_eq!(session.value(&format!("{outer}[new].{TEXT}")), "new.example");
        assert_eq!(session.value(&format!("{outer}[new].{}[in].{INNER_TEXT}", gateway.model.inner)), "192.0.2.7");
    });
}
both_models!(set_parameter_values_creates_instances);

/// R322: a wildcard stands for all instances, in the methods that read.
fn wildcards_stand_for_all_instances(model: &'static Model) {
    with_gateway(model, |model, session| {
        let outer = model.outer;
        let any = format!("{outer}*.{}*.{INNER_TEXT}", model.inner);
        let none = session.succeeds(&get_parameter_values(&[&any]));
        let before = names(&none);
        for pool in ["a", "b"] {
            session.succeeds(&add_object(&format!("{outer}[{pool}]."), ""));
            for host in ["x", "y"] {
                session.succeeds(&add_object(&format!("{outer}[{pool}].{}[{host}].", model.inner), ""));
            }
        }
        let found = names(&session.succeeds(&get_parameter_values(&[&any])));
        assert_eq!(found.len(), before.len() + 4);
        assert!(found.iter().all(|name| !name.contains(['[', '*']) && name.ends_with(INNER_TEXT)), "{found:?}");
        let attributes = session.succeeds(&get_parameter_attributes(&[&any]));
        assert!(attributes.attributes.iter().map(|entry| entry.name.clone()).eq(found.clone()));
        let listed = session.succeeds(&get_parameter_names(&any, false));
        assert!(listed.names.iter().map(|entry| entry.name.clone()).eq(found));
        // Together with an alias, and by alias.
        let of_a = format!("{outer}[a].{}*.{INNER_TEXT}", model.inner);
        let found = names(&session.succeeds(&get_parameter_values(&[&of_a])));
        assert_eq!(found, ["1", "2"].map(|number| of_a.replace('*', number)));
        set_mode(model, session, "InstanceAlias");
        let found = names(&session.succeeds(&get_parameter_values(&[&of_a])));
        assert_eq!(found, ["[x]", "[y]"].map(|alias| of_a.replace('*', alias)));
        // An instance that others have is no fault.
        let third = format!("{outer}*.{}[none].{INNER_TEXT}", model.inner);
        assert!(session.succeeds(&get_parameter_values(&[&third])).parameters.is_empty());
        // Not at the end, not for another node, and not in the methods that change.
        for name in [
            format!("{outer}*"),
            format!("{outer}*."),
            format!("{outer}*.Nothing"),
            format!("{outer}*.{TEXT}."),
            format!("{outer}**.{TEXT}"),
            format!("{}.*.UpTime", model.root),
            "*.".to_owned(),
            "*".to_owned(),
        ] {
            session.refuses(&get_parameter_values(&[&name]), 9005);
            session.refuses(&get_parameter_names(&name, false), 9005);
            session.refuses(&get_parameter_attributes(&[&name]), 9005);
        }
        let text = format!("{outer}*.{TEXT}");
        let refused = session.refuses(&set_parameter_values(&[(&text, "string", "x")], ""), 9003);
        assert_eq!(refused.fault.expect("a fault").parameters[0].1, 9005);
        session.refuses(&set_parameter_attributes(&[(&text, Some(1), None)]), 9005);
        session.refuses(&add_object(&format!("{outer}*.{}", model.inner), ""), 9005);
        session.refuses(&delete_object(&format!("{outer}*."), ""), 9005);
    });
}
both_models!(wildcards_stand_for_all_instances);

/// Names that are no paths, and wildcards of which a request has thousands.
fn hostile_names_cost_little(model: &'static Model) {
    with_gateway(model, |model, session| {
        let outer = model.outer;
        for middle in
            ["[", "]", "[]", "[[a]]", "[a", "a]", "[a]b", "[a.b]", "[*]", "[ ]", "[1]", "[-a]", "[\u{fc}]", "[a]]"]
        {
            session.refuses(&get_parameter_values(&[&format!("{outer}{middle}.{TEXT}")]), 9005);
            session.refuses(&delete_object(&format!("{outer}{middle}."), ""), 9005);
        }
        let long = format!("{outer}[{}].{TEXT}", "a".repeat(64 << 10));
        let refused = session.refuses(&set_parameter_values(&[(&long, "string", "x")], ""), 9003);
        assert_eq!(refused.fault.expect("a fault").parameters[0].1, 9005);
        session.refuses(&get_parameter_values(&[&long]), 9003);
        session.succeeds(&add_object(&format!("{outer}[a]."), ""));
        let all = format!("{}.", outer.trim_end_matches('.').rsplit_once('.').expect("an object").0);
        let bomb = vec![all.as_str(); 3000];
        let wild = format!("{outer}*.{TEXT}");
        let wild = vec![wild.as_str(); 20_000];
        for names in [&bomb, &wild] {
            let answer = session.call(&get_parameter_values(names)).expect("an answer");
            assert!(answer.fault.is_none_or(|fault| fault.code == 9004));
        }
        assert_eq!(session.value(&format!("{outer}[a].Alias")), "a");
    });
}
both_models!(hostile_names_cost_little);

/// The local commands accept the names of the ACS.
fn local_commands_accept_aliases(model: &'static Model) {
    let gateway = with_gateway(model, |_, _| {});
    let (agent, outer) = (&gateway.agent, model.outer);
    agent.succeeds(&["add", &format!("{outer}[lan].")]);
    let inner = format!("{outer}[lan].{}", model.inner);
    agent.succeeds(&["add", &format!("{inner}[nas].")]);
    let name = format!("{inner}[nas].{INNER_TEXT}");
    agent.succeeds(&["set", &format!("{name}=192.0.2.3")]);
    assert_eq!(agent.succeeds(&["get", &name]), format!("{name}=192.0.2.3\n"));
    let any = format!("{outer}*.{}*.{INNER_TEXT}", model.inner);
    assert!(agent.succeeds(&["get", &any]).contains("=192.0.2.3\n"));
    assert!(agent.succeeds(&["source", &name]).contains(&name));
    assert!(!agent.command(&["set", &format!("{inner}[nas].Alias=a b")]).status.success());
    assert!(!agent.command(&["add", &format!("{outer}[lan].")]).status.success());
    agent.succeeds(&["delete", &format!("{inner}[nas].")]);
    assert!(!agent.command(&["get", &name]).status.success());
}
both_models!(local_commands_accept_aliases);

/// R319, R321: a strong reference is set by alias, is named as InstanceMode demands, and follows its instance. A weak one keeps its
/// text.
#[test]
fn references_follow_an_alias() {
    let mapping = "Device.NAT.PortMapping.[m].Interface";
    let weak = "Device.IP.Diagnostics.IPPing.Interface";
    let mut gateway = with_gateway(&TR_181, |model, session| {
        session.succeeds(&add_object("Device.NAT.PortMapping.[m].", ""));
        session.set(mapping, "string", "Device.IP.Interface.[cpe-1]");
        session.set(weak, "string", "Device.IP.Interface.[cpe-1]");
        assert_eq!(session.value(mapping), "Device.IP.Interface.1");
        session.set("Device.IP.Interface.1.Alias", "string", "wan");
        set_mode(model, session, "InstanceAlias");
        assert_eq!(session.value(mapping), "Device.IP.Interface.[wan]");
        assert_eq!(session.value(weak), "Device.IP.Interface.[cpe-1]");
        let refused =
            session.refuses(&set_parameter_values(&[(mapping, "string", "Device.IP.Interface.[lan]")], ""), 9003);
        assert_eq!(refused.fault.expect("a fault").parameters[0].1, 9007);
    });
    gateway.crash_and_reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        assert_eq!(session.value(mapping), "Device.IP.Interface.[wan]");
        // R173: the reference is cleared with its target.
        session.succeeds(&delete_object("Device.IP.Interface.[wan].", ""));
        assert_eq!(session.value(mapping), "");
    });
}

/// R317: without aliases in the model, the Inform says so, and a path with one is none.
fn a_model_turns_aliases_off(model: &'static Model) {
    let acs = ManualAcs::start(AcsOptions::new());
    let supported = model.at("ManagementServer.AliasBasedAddressing");
    let agent = model.gateway_at(&acs.url()).set(supported, "false").start();
    acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |inform, session| {
        assert_eq!(inform.value(supported), Some("false"));
        session.refuses(&add_object(&format!("{}[a].", model.outer), ""), 9005);
        session.succeeds(&add_object(model.outer, ""));
        let any = format!("{}[cpe-1].", model.hosts);
        session.refuses(&get_parameter_values(&[&any]), 9005);
        session.refuses(&get_parameter_names(&any, true), 9005);
        session.refuses(&delete_object(&any, ""), 9005);
        // The modes have no effect.
        set_mode(model, session, "InstanceAlias");
        session.set(model.at("ManagementServer.AutoCreateInstances"), "boolean", "true");
        let name = format!("{}[a].{TEXT}", model.outer);
        session.refuses(&set_parameter_values(&[(&name, "string", "x")], ""), 9003);
        let all = session.succeeds(&get_parameter_values(&[model.at("")]));
        assert!(names(&all).iter().all(|name| !name.contains('[')));
    });
    assert!(!agent.command(&["get", &format!("{}[cpe-1].", model.outer)]).status.success());
}
both_models!(a_model_turns_aliases_off);

/// R164, R320: an agent that is killed while it creates instances has made all of the request or nothing.
#[test]
fn created_instances_survive_a_crash_as_a_whole() {
    let mut gateway = with_gateway(&TR_181, |model, session| {
        session.set(model.at("ManagementServer.AutoCreateInstances"), "boolean", "true");
    });
    let outer = TR_181.outer;
    for round in 0..10u64 {
        let text = format!("{outer}[crash].{TEXT}");
        let inner = format!("{outer}[crash].{}[in].{INNER_TEXT}", TR_181.inner);
        gateway.agent.succeeds(&["inform"]);
        let (_, _, mut session) = gateway.acs.next_session();
        session.send(&set_parameter_values(&[(&text, "string", "crash"), (&inner, "string", "192.0.2.1")], "key"));
        std::thread::sleep(Duration::from_micros(round * 700));
        gateway.agent.kill9();
        drop(session);
        gateway.acs.clear();
        gateway.agent.restart();
        gateway.agent.wait_for_control();
        let found = gateway.agent.command(&["get", &format!("{outer}[crash].")]);
        let listed = String::from_utf8_lossy(&found.stdout).into_owned();
        if found.status.success() {
            assert!(listed.contains(&format!("{TEXT}=crash\n")) && listed.contains("=192.0.2.1\n"), "{listed}");
            gateway.agent.succeeds(&["delete", &format!("{outer}[crash].")]);
        }
    }
}
