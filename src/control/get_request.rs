//! The request of the command `get`.

use super::message::JSON;

/// The argument of `get` that asks for a value alone.
const VALUE: &str = "--value";
/// The argument of `get` that asks for hidden values.
const SECRET: &str = "--secret";

/// The values that `get` reads, and the form of its output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetRequest {
    /// The parameters and partial paths.
    pub paths: Vec<String>,
    /// The form of the output.
    pub form: GetForm,
    /// True if hidden values are shown.
    pub secret: bool,
}

/// A form of the output of `get`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GetForm {
    /// A line `path=value` for each parameter, with escapes.
    #[default]
    Lines,
    /// One JSON object: the names of the parameters with their values as texts.
    Json,
    /// The value of the only parameter as it is, and a line end.
    Value,
}

impl GetRequest {
    /// Reads `[--json] [--value] [--secret] PATH…`. `None` if a path is missing.
    pub(super) fn parse(mut words: &[String]) -> Option<GetRequest> {
        let mut request = GetRequest::default();
        loop {
            match words {
                [option, rest @ ..] if option == JSON => (request.form, words) = (GetForm::Json, rest),
                [option, rest @ ..] if option == VALUE => (request.form, words) = (GetForm::Value, rest),
                [option, rest @ ..] if option == SECRET => (request.secret, words) = (true, rest),
                [] => return None,
                paths => return Some(GetRequest { paths: paths.to_vec(), ..request }),
            }
        }
    }

    /// Returns the words that [`parse`](Self::parse) reads.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        let form = match self.form {
            GetForm::Lines => None,
            GetForm::Json => Some(JSON),
            GetForm::Value => Some(VALUE),
        };
        let options = form.into_iter().chain(self.secret.then_some(SECRET));
        options.map(str::to_owned).chain(self.paths.iter().cloned())
    }
}
