//! Redirects and cookies: the target of the POST, the credentials and cookies that go with it, and their end.

use crate::gateway::{BOOT, PASSWORD, SOON, USERNAME, gateway, schemes};
use crate::support::{
    Acs, AcsOptions, Reply, Session, empty_post, get_parameter_values, get_rpc_methods, inform, inform_response,
    no_content, redirect, response, status,
};

/// R54, R57: the same POST is sent again, at every point of the session and for every status of a redirect.
#[test]
fn redirects_at_any_point() {
    for code in [301, 302, 307] {
        let mut acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD).cookie("a", "; Path=/acs"));
        let there = acs.second_listener(AcsOptions::new().digest(USERNAME, PASSWORD).path("/there").cookie("b", ""));
        let here = acs.url();
        acs.expects(inform()).replies(redirect(code, &there));
        acs.expects(inform()).replies(inform_response());
        acs.expects(empty_post()).replies(redirect(code, &here));
        acs.expects(empty_post()).replies(get_rpc_methods());
        acs.expects(response("GetRPCMethods")).replies(redirect(code, &there));
        acs.expects(response("GetRPCMethods")).replies(no_content());
        let _agent = gateway(&acs).start();
        acs.session(SOON).expect_complete();
    }
}

/// R54: within one server the connection stays; a Location may be relative.
#[test]
fn a_redirect_to_another_path() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(redirect(302, "/cwmp/node7?a=b&c=d#fragment"));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(redirect(307, "node8"));
    acs.expects(empty_post()).replies(no_content());
    acs.allow_violation("R10: the target is \"/cwmp/node8\""); // the reference ACS does not resolve it
    let _agent = gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let targets: Vec<&str> = session.exchanges.iter().map(|exchange| exchange.request.target.as_str()).collect();
    let node = "/cwmp/node7?a=b&c=d";
    assert_eq!(targets, ["/acs", node, node, "/cwmp/node8"]);
    assert_eq!(session.connections().len(), 1);
}

/// R56: five redirects in a row are followed, also again later in the session; the sixth fails the session.
#[test]
fn how_many_redirects_in_a_row() {
    let mut acs = Acs::start(AcsOptions::new());
    let hop = |acs: &Acs, n: u32| acs.expects(inform()).replies(redirect(302, &format!("/hop/{n}")));
    (1..=5).for_each(|n| hop(&acs, n));
    acs.expects(inform()).replies(inform_response());
    (1..=5).for_each(|n| acs.expects(empty_post()).replies(redirect(307, &format!("/again/{n}"))));
    acs.expects(empty_post()).replies(no_content());
    (1..=6).for_each(|n| hop(&acs, n));
    acs.expects(inform().retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let mut agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    agent.wait_for_log("session finished", SOON);
    agent.reboot();
    agent.wait_for_log("session failed: a redirect was not followed: too many in a row", SOON);
    assert_eq!(acs.session(SOON).expect_failed().statuses(), [302; 6]);
    acs.session(SOON).expect_complete();
}

/// R55: a redirect holds for the rest of the session; the retry and the next session begin at the configured URL.
#[test]
fn a_redirect_is_not_kept() {
    for code in [301, 302, 307] {
        let mut acs = Acs::start(AcsOptions::new());
        let there = acs.second_listener(AcsOptions::new().path("/there"));
        let url = "Device.ManagementServer.URL";
        acs.expects(inform().retry_count(0)).replies(redirect(code, &there));
        acs.expects(inform().retry_count(0)).replies(status(404));
        acs.expects(inform().retry_count(1)).replies(redirect(code, &there));
        acs.expects(inform().retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(get_parameter_values(&[url]));
        acs.expects(response("GetParameterValues").parameter(url, &acs.url())).replies(no_content());
        acs.expects(inform().only_events(&[BOOT])).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let mut agent = gateway(&acs).start();
        let targets = |session: Session| -> Vec<String> {
            session.exchanges.iter().map(|exchange| exchange.request.target.clone()).collect()
        };
        assert_eq!(targets(acs.session(SOON).expect_failed()), ["/acs", "/there"]);
        assert_eq!(targets(acs.session(SOON).expect_complete())[..2], ["/acs", "/there"]);
        agent.wait_for_log("session finished", SOON);
        agent.reboot();
        assert_eq!(targets(acs.session(SOON).expect_complete()), ["/acs", "/acs"]);
    }
}

/// A redirect loop and an unusable target fail the session.
#[test]
fn redirects_that_lead_nowhere() {
    let cases = [
        redirect(302, "ftp://elsewhere.example/"),
        redirect(302, "http://"),
        redirect(302, "http://[::1"),
        redirect(302, "http://127.0.0.1:99999/"),
        redirect(302, "http://127.0.0.1:1/"),
        redirect(302, "mailto:acs@example.com"),
        status(302),
    ];
    let mut running = Vec::new();
    for reply in cases {
        let acs = Acs::start(AcsOptions::new());
        let what = reply.describe();
        acs.expects(inform()).replies(reply);
        acs.always(inform().retry_count(1)).replies(inform_response());
        let agent = gateway(&acs).start();
        running.push((what, acs, agent));
    }
    for (what, acs, agent) in running {
        let line = agent.wait_for_log("session failed: ", SOON);
        assert!(line.contains("redirect") || line.contains("connection"), "{what}: {line}");
        agent.wait_for_log("session finished", SOON);
        drop(agent);
        drop(acs);
    }
}

/// After a redirect to another host the agent sends no password in clear text, but it answers a digest challenge.
#[test]
fn a_redirect_to_a_host_that_wants_the_password() {
    let mut acs = Acs::start(AcsOptions::new());
    let there = acs.second_listener(AcsOptions::new().ipv6().basic(USERNAME, PASSWORD));
    acs.expects(inform()).replies(redirect(302, &there));
    let agent = gateway(&acs).start();
    let session = acs.session(SOON).expect_failed();
    assert_eq!(schemes(&session), ["-", "-"]);
    agent.wait_for_log("session failed: a redirect was not followed: the new host wants the password", SOON);
    drop(agent);
    drop(acs);

    let mut acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD));
    let there = acs.second_listener(AcsOptions::new().ipv6().digest(USERNAME, PASSWORD));
    acs.expects(inform()).replies(redirect(302, &there));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let _agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_complete().statuses(), [401, 302, 401, 200, 204]);
}

/// R52, R53: all cookies are sent back, with any attributes, until the session ends.
#[test]
fn cookies() {
    let options = |on_401: bool| {
        let options = AcsOptions::new()
            .digest(USERNAME, PASSWORD)
            .cookie("session", "")
            .cookie("JSESSIONID", "; Path=/elsewhere; HttpOnly; Secure; SameSite=Strict")
            .cookie("lb", ";Domain=.example.com;Expires=Wednesday, 09-Nov-1999 23:12:40 GMT")
            .cookie("long", &format!("{}; Max-Age=60", "x".repeat(1500)));
        if on_401 { options.cookies_on_401() } else { options }
    };
    for on_401 in [false, true] {
        let mut acs = Acs::start(options(on_401));
        let there = acs.second_listener(AcsOptions::new().ipv6().path("/there"));
        acs.expects(inform()).replies(inform_response());
        acs.expects(empty_post()).replies(redirect(307, &there));
        acs.expects(empty_post()).replies(Reply::from(get_rpc_methods()).header("Set-Cookie", "session=; Max-Age=0"));
        acs.expects(response("GetRPCMethods")).replies(status(500));
        acs.expects(inform().retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let _agent = gateway(&acs).start();
        let failed = acs.session(SOON).expect_failed();
        let sent = failed.exchanges.last().expect("an exchange").request.cookies();
        assert_eq!(sent.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["JSESSIONID", "lb", "long"]);
        let next = acs.session(SOON).expect_complete();
        assert!(next.exchanges[0].request.cookies().is_empty(), "R53");
    }
}
