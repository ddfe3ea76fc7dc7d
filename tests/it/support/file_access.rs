//! Access control of the file server: challenges, and the check of the credentials that come.

use super::access::random_hex;
use super::digest::{Authorization, Kind, Secret};
use super::file_delivery::head;
use super::file_server::{FileServerOptions, FileServerState};
use super::http::Request;

impl FileServerState {
    /// Returns a 401 if the request lacks the right credentials.
    pub(super) fn refuse(&mut self, options: &FileServerOptions, request: &Request) -> Option<String> {
        let authorization = request.header("Authorization").map(Authorization::parse);
        let is_stale = match authorization {
            _ if options.challenges.is_empty() => return None,
            Some(Ok(authorization)) => match self.judge(options, request, &authorization) {
                Verdict::Granted => return None,
                Verdict::Refused { is_stale } => is_stale,
            },
            Some(Err(problem)) => {
                self.violations.push(problem);
                false
            }
            None => false,
        };
        let mut headers = Vec::new();
        for challenge in &options.challenges {
            let nonce = random_hex();
            headers.push(("WWW-Authenticate".to_owned(), challenge.header(&nonce, is_stale)));
            self.nonces.insert(nonce, (challenge.clone(), 0));
        }
        let body = "<html>who are you?</html>";
        Some(head(401, &headers, &format!("Content-Length: {}\r\n", body.len())) + body)
    }

    fn judge(&mut self, options: &FileServerOptions, request: &Request, authorization: &Authorization) -> Verdict {
        const REFUSED: Verdict = Verdict::Refused { is_stale: false };
        let answer = match authorization {
            Authorization::Basic { username, password } => {
                if !options.challenges.iter().any(|challenge| matches!(challenge.kind, Kind::Basic)) {
                    self.violations.push("R58: the password in clear text, though nobody asked for it".into());
                }
                let is_right = *username == options.username && *password == options.password;
                return if is_right { Verdict::Granted } else { REFUSED };
            }
            Authorization::Digest(answer) => answer,
        };
        let Some((challenge, last)) = self.nonces.get_mut(answer.get("nonce").unwrap_or_default()) else {
            return Verdict::Refused { is_stale: true };
        };
        let Kind::Digest { algorithm, .. } = challenge.kind else { return REFUSED };
        self.violations.extend(answer.problems(&challenge.kind, &request.target));
        let secret =
            Secret { username: &options.username, password: &options.password, realm: &challenge.realm, algorithm };
        if !answer.verifies(&secret, &request.method, &[]) {
            return REFUSED;
        }
        let count = answer.count().unwrap_or_default();
        if answer.get("qop").is_some() && count <= *last {
            self.violations.push(format!("R61: nc {count} after {last}"));
        }
        *last = count;
        match options.forgetful && count == 1 && self.nonces.len() == 1 {
            true => Verdict::Refused { is_stale: true },
            false => Verdict::Granted,
        }
    }
}

enum Verdict {
    Granted,
    Refused { is_stale: bool },
}
