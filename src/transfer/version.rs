//! The version of a file on the server, which decides whether a download can be resumed (RFC 9110 §13, §14).

use ureq_proto::http::{HeaderMap, HeaderName, header};

/// The version of a file as the header of a response describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileVersion {
    /// The entity tag, if it is a strong one: a weak tag does not promise the same bytes.
    etag: Option<String>,
    /// The date of the last change, in the server's spelling.
    last_modified: Option<String>,
    /// True if `Last-Modified` identifies this version because it is older than the response. A file that changed in the
    /// second of the response may have changed twice in that second (RFC 9110 §8.8.2.2).
    is_settled: bool,
    /// True unless the server has announced that it ignores `Range`.
    takes_ranges: bool,
    /// The size of the whole file in bytes.
    pub(super) total: Option<u64>,
}

/// The value of `Content-Range`, such as `bytes 100-199/200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

impl FileVersion {
    /// Returns the version that a header describes; `length` is that of the whole file.
    pub(super) fn of(headers: &HeaderMap, length: Option<u64>) -> FileVersion {
        let last_modified = text(headers, &header::LAST_MODIFIED);
        FileVersion {
            etag: text(headers, &header::ETAG).filter(|etag| etag.starts_with('"')),
            is_settled: text(headers, &header::DATE).is_some_and(|date| last_modified.as_ref() != Some(&date)),
            last_modified,
            takes_ranges: text(headers, &header::ACCEPT_RANGES).is_none_or(|ranges| ranges != "none"),
            total: length,
        }
    }

    /// Returns true if the rest can be asked for: the size or a validator must tell this file from another one.
    pub(super) fn can_be_resumed(&self) -> bool {
        self.takes_ranges && (self.validator().is_some() || self.total.is_some())
    }

    /// Returns the value of `If-Range`.
    pub(super) fn validator(&self) -> Option<&str> {
        let date = self.last_modified.as_deref().filter(|_| self.is_settled);
        self.etag.as_deref().or(date)
    }

    /// Returns this version, with the size if the header names it, if a 206 with this header continues the same file at
    /// `offset`; otherwise `None`.
    pub(super) fn continued_by(self, headers: &HeaderMap, offset: u64) -> Option<FileVersion> {
        let range = ContentRange::parse(&text(headers, &header::CONTENT_RANGE)?)?;
        let now = FileVersion::of(headers, range.total);
        // A server may ignore `If-Range`, so that the header of the 206 is compared as well.
        let is_the_same = range.first == offset
            && agree(self.total.as_ref(), now.total.as_ref())
            && self.total.is_none_or(|total| range.last < total)
            && agree(self.etag.as_ref(), now.etag.as_ref())
            && agree(self.last_modified.as_ref(), now.last_modified.as_ref());
        is_the_same.then(|| FileVersion { total: self.total.or(range.total), ..self })
    }
}

impl ContentRange {
    /// Parses the value of the header field; `None` if it is malformed or contradicts itself.
    fn parse(text: &str) -> Option<ContentRange> {
        let (unit, rest) = text.trim().split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = if total == "*" { None } else { Some(number(total)?) };
        let range = ContentRange { first: number(first)?, last: number(last)?, total };
        let is_sound = range.first <= range.last && range.total.is_none_or(|total| range.last < total);
        (unit.eq_ignore_ascii_case("bytes") && is_sound).then_some(range)
    }
}

/// Returns true unless both values are known and differ.
fn agree<T: PartialEq>(before: Option<&T>, now: Option<&T>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => before == now,
        _ => true,
    }
}

/// Parses digits alone, since `parse` also accepts a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Returns the trimmed text of a header field, if it is not empty.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use ureq_proto::http::HeaderValue;

    use super::*;

    const MONDAY: &str = "Mon, 06 Nov 2023 08:49:37 GMT";
    const TUESDAY: &str = "Tue, 07 Nov 2023 08:49:37 GMT";

    fn headers(fields: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, HeaderValue::from_str(value).expect("a header value"));
        }
        headers
    }

    fn version(fields: &[(&HeaderName, &str)], length: Option<u64>) -> FileVersion {
        FileVersion::of(&headers(fields), length)
    }

    #[test]
    fn asks_for_the_rest_by_what_identifies_the_file() {
        let validator = |fields: &[(&HeaderName, &str)]| version(fields, None).validator().map(str::to_owned);
        assert_eq!(validator(&[(&header::ETAG, "\"a\""), (&header::LAST_MODIFIED, MONDAY)]), Some("\"a\"".into()));
        assert_eq!(validator(&[(&header::ETAG, "W/\"a\"")]), None);
        let dates = [(&header::LAST_MODIFIED, MONDAY), (&header::DATE, TUESDAY)];
        assert_eq!(validator(&dates), Some(MONDAY.into()));
        assert_eq!(validator(&[(&header::LAST_MODIFIED, MONDAY), (&header::DATE, MONDAY)]), None);
        assert_eq!(validator(&[(&header::LAST_MODIFIED, MONDAY)]), None);
    }

    #[test]
    fn a_file_without_any_sign_is_not_resumed() {
        assert!(!version(&[], None).can_be_resumed());
        assert!(version(&[], Some(10)).can_be_resumed());
        assert!(version(&[(&header::ETAG, "\"a\"")], None).can_be_resumed());
        assert!(!version(&[(&header::ACCEPT_RANGES, "none")], Some(10)).can_be_resumed());
    }

    #[test]
    fn only_the_same_file_at_the_same_byte_goes_on() {
        let etag = |text| (&header::ETAG, text);
        let known = version(&[etag("\"a\""), (&header::LAST_MODIFIED, MONDAY)], Some(200));
        let goes_on = |range, others: &[(&HeaderName, &str)]| {
            let mut fields = vec![(&header::CONTENT_RANGE, range)];
            fields.extend_from_slice(others);
            known.clone().continued_by(&headers(&fields), 100).is_some()
        };
        for range in ["bytes 100-199/200", "Bytes 100-150/200", "bytes 100-199/*"] {
            assert!(goes_on(range, &[]), "{range}");
        }
        for range in ["bytes 99-199/200", "bytes 100-199/201", "bytes 100-200/*", "bytes */200", "bytes 0-199/200"] {
            assert!(!goes_on(range, &[]), "{range}");
        }
        let whole = "bytes 100-199/200";
        assert!(goes_on(whole, &[etag("\"a\"")]));
        assert!(!goes_on(whole, &[etag("\"b\"")]));
        assert!(!goes_on(whole, &[(&header::LAST_MODIFIED, TUESDAY)]));
        assert_eq!(known.clone().continued_by(&HeaderMap::new(), 100), None);

        let known = version(&[etag("\"a\"")], None);
        let told = known.continued_by(&headers(&[(&header::CONTENT_RANGE, whole)]), 100);
        assert_eq!(told.and_then(|version| version.total), Some(200));
    }

    #[test]
    fn reads_ranges_and_nothing_else() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        assert_eq!(ContentRange::parse(" bytes 0-0/1"), range(0, 0, Some(1)));
        assert_eq!(ContentRange::parse("bytes 5-9/*"), range(5, 9, None));
        for text in [
            "",
            "bytes",
            "bytes 5-4/10",
            "bytes 0-10/10",
            "bytes +1-2/3",
            "bytes -1/3",
            "bytes 1-/3",
            "lines 0-1/2",
            "bytes 0-99999999999999999999/*",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }
}
