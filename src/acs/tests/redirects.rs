//! Redirects.

use super::*;

#[test]
fn redirects_repeat_the_post_and_hold_for_the_session() {
    let target =
        Server::start(vec![vec![status("307 Temporary Redirect", &["Location: /deeper?y"]), ok("1"), ok("2")]]);
    let location = format!("Location: http://{}/other", target.address);
    let server = Server::start(vec![vec![respond(format!(
        "HTTP/1.1 302 Found\r\nSet-Cookie: a=1\r\n{location}\r\nContent-Length: 99\r\n\r\n<html>"
    ))]]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    assert_eq!(body(acs.post(b"")), "2");
    drop(acs);
    assert_eq!(server.requests().len(), 1);
    let authority = target.address.to_string();
    let requests = target.requests();
    let lines: Vec<_> = requests.iter().map(|r| r.head.lines().next().unwrap()).collect();
    assert_eq!(lines, ["POST /other HTTP/1.1", "POST /deeper?y HTTP/1.1", "POST /deeper?y HTTP/1.1"]);
    assert!(requests.iter().all(|r| r.connection == 0));
    for request in &requests {
        assert_eq!(request.header("Cookie"), Some("a=1"));
        assert_eq!(request.header("Host"), Some(authority.as_str()));
    }
    assert_eq!(requests[0].body, b"<inform/>");
    assert_eq!(requests[1].body, b"<inform/>");
}

#[test]
fn five_redirects_in_a_row_are_followed_and_a_sixth_is_not() {
    let hop = |line| status(line, &["Location: next"]);
    let five = ["302 Found", "307 Temporary Redirect", "301 Moved Permanently", "302 Found", "308 Permanent Redirect"]
        .map(hop);
    let (response, requests) = one_post(vec![[five.to_vec(), vec![ok("there")]].concat()]);
    assert_eq!(body(response), "there");
    assert_eq!(requests.len(), 6);

    let (result, requests) = one_post(vec![vec![hop("302 Found"); 7]]);
    assert!(matches!(result, Err(HttpError::Redirect(_))), "{result:?}");
    assert_eq!(requests.len(), 6);

    for headers in [vec![], vec!["Location: gopher://x/"], vec!["Location: http:///"]] {
        let (result, _) = one_post(vec![vec![status("302 Found", &headers)]]);
        assert!(matches!(result, Err(HttpError::Redirect(_))), "{result:?}");
    }
}

#[test]
fn another_host_gets_no_password_in_clear_text() {
    let basic = "WWW-Authenticate: Basic realm=\"acs\"";
    for (challenge, is_answered) in [(basic, false), (MD5, true)] {
        let target = Server::start(vec![vec![status("401 Unauthorized", &[challenge]), ok("in")]]);
        let location = format!("Location: http://localhost:{}/acs?x=1", target.address.port());
        let server = Server::start(vec![vec![status("401 Unauthorized", &[MD5]), status("302 Found", &[&location])]]);
        let mut acs = connection(&server);
        let result = acs.post(b"<inform/>");
        drop(acs);
        server.requests();
        let requests = target.requests();
        // The credentials for the first host are not sent to the second without its challenge.
        assert_eq!(requests[0].header("Authorization"), None);
        if is_answered {
            assert_eq!(body(result), "in");
            credentials(&requests[1]);
        } else {
            assert_eq!(result, Err(HttpError::InsecureBasic));
            assert_eq!(requests.len(), 1);
        }
    }
}
