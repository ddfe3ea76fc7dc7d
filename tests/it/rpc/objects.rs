//! AddObject and DeleteObject.

use super::gateway::{Gateway, QUIET};
use crate::gateway::{Model, TR_098, TR_181};
use crate::support::{
    add_object, delete_object, get_parameter_attributes, get_parameter_names, get_parameter_values,
    set_parameter_attributes, set_parameter_values,
};

/// Returns a text parameter in the outer table of each model.
const OUTER_TEXT: &str = "DomainName";

/// Instances, and instances of tables inside of them, are added, kept over a crash, and deleted.
fn instances_with_tables_inside(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let key = gateway.management("ParameterKey");
    gateway.agent.reboot();
    let (pool, inner, inner_count) = gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let count: u32 = session.value(model.outer_count).parse().expect("a number");
        let answer = session.succeeds(&add_object(model.outer, "k 1"));
        assert_eq!(answer.argument("Status"), Some("0")); // R213
        let pool = format!("{}{}.", model.outer, answer.argument("InstanceNumber").expect("a number"));
        assert_eq!(session.value(&key), "k 1"); // R157, R158
        assert_eq!(session.value(model.outer_count), (count + 1).to_string());

        let names = session.succeeds(&get_parameter_names(model.outer, true));
        assert_eq!(names.writable(&pool), Some(true)); // R186, R192
        let names = session.succeeds(&get_parameter_names(&pool, true));
        let inner = format!("{pool}{}", model.inner);
        assert_eq!(names.writable(&inner), Some(true)); // R187, R192
        assert!(session.succeeds(&get_parameter_values(&[&inner])).parameters.is_empty()); // R179

        let inner_count = format!("{pool}{}", model.inner_count);
        assert_eq!(session.value(&inner_count), "0"); // R215
        let answer = session.succeeds(&add_object(&inner, "k 2")); // R219
        assert_eq!(answer.argument("InstanceNumber"), Some("1"));
        assert_eq!(session.value(&inner_count), "1");
        session.set(&format!("{inner}1.Yiaddr"), "string", "192.0.2.7");
        session.set(&format!("{pool}{OUTER_TEXT}"), "string", "example.org");
        (pool, inner, inner_count)
    });

    gateway.crash_and_reboot();
    let deleted = gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        assert_eq!(session.value(&format!("{inner}1.Yiaddr")), "192.0.2.7"); // R171, R217
        assert_eq!(session.value(&inner_count), "1");
        session.succeeds(&delete_object(&pool, "k 3"));
        session.refuses(&get_parameter_values(&[&pool]), 9005); // R222
        session.refuses(&get_parameter_names(&inner, false), 9005); // R220
        session.refuses(&delete_object(&pool, "k 4"), 9005); // R221
        assert_eq!(session.value(&key), "k 3"); // R157: no fault changes it
        pool.clone()
    });

    gateway.crash_and_reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        session.refuses(&get_parameter_values(&[&deleted]), 9005); // R222
        let answer = session.succeeds(&add_object(model.outer, ""));
        let again = format!("{}{}.", model.outer, answer.argument("InstanceNumber").expect("a number"));
        assert_ne!(again, deleted); // R218
        assert_eq!(session.value(&format!("{again}{OUTER_TEXT}")), ""); // R215
        assert_eq!(session.value(&key), ""); // R157: an empty one counts too
    });
}
both_models!(instances_with_tables_inside);

/// The attributes of an instance are deleted with it.
fn attributes_go_with_their_object(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let mut add = |watch: bool| {
            let answer = session.succeeds(&add_object(model.outer, ""));
            let pool = format!("{}{}.", model.outer, answer.argument("InstanceNumber").expect("a number"));
            let text = format!("{pool}{OUTER_TEXT}");
            let attributes = session.succeeds(&get_parameter_attributes(&[&text]));
            assert_eq!(attributes.attributes[0].notification, "0", "{text}"); // R206, R215
            assert_eq!(attributes.attributes[0].access_list, ["Subscriber"], "{text}"); // R206
            if watch {
                session.succeeds(&set_parameter_attributes(&[(&text, Some(2), Some(&[]))]));
            }
            session.succeeds(&delete_object(&pool, ""));
        };
        add(true);
        add(false);
    });
    gateway.acs.expect_no_session(QUIET); // R207, R208
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |inform, _| {
        assert!(!inform.parameters.iter().any(|p| p.name.starts_with(model.outer))); // R207
    });
}
both_models!(attributes_go_with_their_object);

/// AddObject and DeleteObject refuse everything that is no table, or no instance, of the ACS.
fn what_cannot_be_added_or_deleted(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let key = format!("{}.ManagementServer.ParameterKey", model.root);
        session.succeeds(&add_object(model.outer, "last"));
        let server = format!("{}.ManagementServer.", model.root);
        let url = format!("{server}URL");
        let read_only = format!("{}.DeviceInfo.VendorLogFile.", model.root);
        for table in [&format!("{}1.", model.outer), &server, &read_only, &format!("{}.Nothing.", model.root)] {
            session.refuses(&add_object(table, "refused"), 9005); // R214
        }
        for table in [&url, model.outer.trim_end_matches('.')] {
            let code = session.call(&add_object(table, "refused")).and_then(|answer| answer.fault).map(|f| f.code);
            assert!(matches!(code, Some(9003 | 9005)), "{table}: {code:?}"); // R213, R214
        }
        for instance in [model.outer, &server, &format!("{}99.", model.outer), &format!("{read_only}1.")] {
            session.refuses(&delete_object(instance, "refused"), 9005); // R221
        }
        assert_eq!(session.value(&key), "last"); // R157
        let mut count: u32 = session.value(model.outer_count).parse().expect("a number");
        while count < 8 {
            session.succeeds(&add_object(model.outer, "more"));
            count += 1;
        }
        session.refuses(&add_object(model.outer, "refused"), 9004); // R216
        assert_eq!((session.value(model.outer_count), session.value(&key)), ("8".into(), "more".into()));
    });
}
both_models!(what_cannot_be_added_or_deleted);

/// R173: a strong reference is cleared with its target, out of lists too, at once and for good.
#[test]
fn strong_references_go_with_their_target() {
    let mut gateway = Gateway::new(&TR_181);
    gateway.agent.reboot();
    let single = "Device.NAT.PortMapping.1.Interface";
    let list = "Device.IP.Interface.1.LowerLayers";
    let refused = gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let answer = session.succeeds(&add_object("Device.IP.Interface.", ""));
        let target = format!("Device.IP.Interface.{}", answer.argument("InstanceNumber").expect("a number"));
        session.set(single, "string", &target);
        session.set(list, "string", &format!("Device.Ethernet.Link.1,{target},Device.Ethernet.Interface.1"));
        session.succeeds(&delete_object(&format!("{target}."), "gone"));
        let refused = crate::support::set_parameter_values(&[(single, "string", &target)], "");
        let answer = session.refuses(&refused, 9003);
        assert_eq!(answer.fault.expect("a fault").parameters[0].1, 9007); // R165, R173
        target
    });
    gateway.crash_and_reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        assert_eq!(session.value(single), "", "{refused}"); // R173
        assert_eq!(session.value(list), "Device.Ethernet.Link.1,Device.Ethernet.Interface.1"); // R173
    });
}

/// R173: a weak reference keeps its text when its target is deleted.
#[test]
fn weak_references_stay() {
    let mut gateway = Gateway::new(&TR_098);
    gateway.agent.reboot();
    let weak = "InternetGatewayDevice.Layer3Forwarding.Forwarding.1.Interface";
    let table = "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.IPInterface.";
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let answer = session.succeeds(&add_object(table, ""));
        let target = format!("{table}{}", answer.argument("InstanceNumber").expect("a number"));
        session.set(weak, "string", &target);
        session.succeeds(&delete_object(&format!("{target}."), ""));
        assert_eq!(session.value(weak), target);
    });
}

/// The log names the changes of the ACS, and no hidden value.
fn the_log_names_the_changes_of_the_acs(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let [username, password] = ["Username", "Password"].map(|name| gateway.management(name));
    gateway.agent.reboot();
    let pool = gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let answer = session.succeeds(&add_object(model.outer, "k 1"));
        let pool = format!("{}{}.", model.outer, answer.argument("InstanceNumber").expect("a number"));
        let values = [(username.as_str(), "string", "operator"), (password.as_str(), "string", "s3cr3t-word")];
        session.succeeds(&set_parameter_values(&values, "k 2"));
        session.succeeds(&set_parameter_values(&values[..1], "k 3"));
        session.refuses(&set_parameter_values(&[(&username, "string", "z"), ("Device.No", "string", "")], "k"), 9003);
        session.succeeds(&delete_object(&pool, "k 4"));
        pool
    });
    gateway.agent.wait_for_log("session finished", std::time::Duration::from_secs(20));
    let log = gateway.agent.log();
    for line in [
        format!("added by the ACS in session 2: {pool}\n"),
        format!("set by the ACS in session 2: {username}, {password}\n"),
        format!("deleted by the ACS in session 2: {pool}\n"),
    ] {
        assert_eq!(log.matches(&format!("info: {line}")).count(), 1, "{line}: {log}");
    }
    assert!(!log.contains("s3cr3t-word"), "{log}");
}
both_models!(the_log_names_the_changes_of_the_acs);
