//! The check of TLS to the ACS, and of the certificate that the ACS presents.

use super::finding::Finding;
use crate::clock::Now;
use crate::http::{Stream, Tcp, TlsSettings};
use crate::url::Url;

/// A connection to a server that was accepted.
pub(super) struct TlsLine {
    pub(super) stream: Stream,
    /// True if the server has asked for a client certificate, and none is configured.
    pub(super) lacks_certificate: bool,
}

/// Returns the failure of a build without TLS.
#[cfg(not(feature = "tls"))]
pub(super) fn check(_: &Url, _: &TlsSettings, _: Now, _: Tcp) -> (Vec<Finding>, Option<TlsLine>) {
    (vec![Finding::failed("TLS", "the URL is https, and this build has no TLS")], None)
}

/// Returns the findings, and the connection if the server was accepted.
#[cfg(feature = "tls")]
pub(super) fn check(url: &Url, settings: &TlsSettings, now: Now, tcp: Tcp) -> (Vec<Finding>, Option<TlsLine>) {
    let report = crate::http::HandshakeReport::connect(settings, now.clock_is_set(), url.host(), tcp);
    let roots = match &settings.ca_file {
        Some(file) => file.display().to_string(),
        None => "the roots of the system".into(),
    };
    let lacks_certificate = report.asks_for_certificate && settings.client_cert.is_none();
    let (finding, line) = match report.outcome {
        Ok(stream) => {
            let text = format!("{}; certificate and name verified with {roots}", stream.agreement());
            (Finding::ok("TLS", text), Some(TlsLine { stream: Stream::Tls(Box::new(stream)), lacks_certificate }))
        }
        Err(error) => {
            let mut text = error.to_string();
            // Most reasons name the roots themselves.
            if !text.contains(&roots) {
                text.push_str(&format!("; checked with {roots}"));
            }
            (Finding::failed("TLS", text), None)
        }
    };
    let mut findings = vec![finding];
    findings.extend(certificates::assess("certificate", &report.chain, now));
    // The client certificate expires as well (R33). An unreadable one is part of the finding about the configuration.
    if let Some(Ok(client)) = settings.client_cert.as_deref().map(crate::http::certificates) {
        let client: Vec<Vec<u8>> = client.iter().map(|certificate| certificate.to_vec()).collect();
        findings.extend(certificates::assess("client cert", &client, now));
    }
    if lacks_certificate {
        // The server may serve clients without one as well, which the answer to the GET shows.
        let text = "the ACS asks for a client certificate, and none is configured (--client-cert, --client-key)";
        findings.push(Finding::warning("client cert", text));
    }
    (findings, line)
}

#[cfg(feature = "tls")]
mod certificates {
    use super::super::finding::{Finding, Verdict};
    use crate::clock::Now;
    use crate::http::Certificate;

    const DAY: i64 = 24 * 60 * 60;
    /// The number of days before the end at which a warning begins: a renewal in time has happened by then.
    const SOON: i64 = 14;
    /// The largest number of certificates of a chain that are checked: no server needs a longer chain.
    const MAX_SHOWN: usize = 4;

    /// Returns a finding for the first certificate, and for each one above it that is expired or not valid yet.
    pub(super) fn assess(subject: &'static str, shown: &[Vec<u8>], now: Now) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (at, der) in shown.iter().take(MAX_SHOWN).enumerate() {
            let Some(certificate) = Certificate::parse(der) else {
                findings.push(Finding::failed(subject, "not an X.509 certificate"));
                continue;
            };
            let finding = assess_one(subject, &certificate, now);
            // The issuers are of interest only if they are the reason for a failure.
            if at == 0 || finding.verdict != Verdict::Ok {
                findings.push(finding);
            }
        }
        findings
    }

    /// Compares the dates of a certificate with the clock.
    fn assess_one(shown_as: &'static str, certificate: &Certificate, now: Now) -> Finding {
        let Certificate { subject, issuer, names, not_before, not_after, .. } = certificate;
        let names = if names.is_empty() { String::new() } else { format!(" for {}", names.join(", ")) };
        let shown = format!("{subject}{names}, by {issuer}, valid {not_before} to {not_after}");
        let days = |seconds: i64| match seconds / DAY {
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        let (before, left) = (not_before.unix().saturating_sub(now.wall), not_after.unix().saturating_sub(now.wall));
        // Every certificate seems not valid yet to a clock that starts in 1970 at boot (R32).
        if !now.clock_is_set() {
            return Finding::warning(shown_as, format!("{shown}; not compared with the clock, which is not set"));
        }
        if before > 0 {
            let text = format!("{shown}: not valid yet, for {}, or the clock of this device is behind", days(before));
            return Finding::failed(shown_as, text);
        }
        if left < 0 {
            let text = format!("{shown}: expired {} ago, or the clock of this device is ahead", days(-left));
            return Finding::failed(shown_as, text);
        }
        // An expiry cuts the device off from its ACS, and only a visit could repair it: so the warning comes early.
        let text = format!("{shown}, {} left", days(left));
        match left / DAY < SOON {
            true => Finding::warning(shown_as, text),
            false => Finding::ok(shown_as, text),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::model::date_time::DateTime;
        use std::time::Duration;

        fn line(now: &str) -> String {
            let date = |text| DateTime::parse(text).unwrap();
            let certificate = Certificate {
                subject: "CN=acs".into(),
                issuer: "CN=CA".into(),
                names: vec!["acs.example".into()],
                not_before: date("2026-01-01T00:00:00Z"),
                not_after: date("2026-04-01T00:00:00Z"),
                common_name: None,
                has_alternative_names: true,
                has_name_constraints: false,
                is_ca: None,
                is_self_issued: false,
                rsa_bits: None,
            };
            assess_one("certificate", &certificate, Now { monotonic: Duration::ZERO, wall: date(now).unix() })
                .to_string()
        }

        #[test]
        fn dates_are_told_in_words() {
            let who =
                "certificate    CN=acs for acs.example, by CN=CA, valid 2026-01-01T00:00:00Z to 2026-04-01T00:00:00Z";
            for (now, verdict, words) in [
                ("2026-02-01T00:00:00Z", "ok      ", ", 59 days left"),
                ("2026-03-31T00:00:00Z", "warning ", ", 1 day left"),
                ("2026-04-11T00:00:00Z", "FAILED  ", ": expired 10 days ago, or the clock of this device is ahead"),
                (
                    "2025-12-30T00:00:00Z",
                    "FAILED  ",
                    ": not valid yet, for 2 days, or the clock of this device is behind",
                ),
                ("1970-01-01T00:00:10Z", "warning ", "; not compared with the clock, which is not set"),
            ] {
                assert_eq!(line(now), format!("{verdict} {who}{words}"));
            }
        }

        #[test]
        fn rubbish_is_no_certificate() {
            let now = Now { monotonic: Duration::ZERO, wall: 0 };
            assert_eq!(assess("certificate", &[vec![0x30, 0x80]], now)[0].verdict, Verdict::Failed);
            assert!(assess("certificate", &[], now).is_empty());
        }
    }
}
