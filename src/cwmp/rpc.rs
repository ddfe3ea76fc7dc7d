//! The RPCs that the ACS may call: one file each, and the one table that says which there are.

mod get_parameter_names;
mod get_parameter_values;
mod get_rpc_methods;
pub(super) mod inform;
mod set_parameter_values;

use super::device::{Device, JournalError};
use super::fault::{Fault, FaultCode};
use super::soap::{Element, Writer};
use crate::model::path::PathError;
use crate::model::value::ValueError;

/// Answers one call: reads the arguments, does what is asked, writes the arguments of the response.
type Answer = fn(Element<'_>, &mut Device, &mut Writer) -> Result<(), Fault>;

/// Every method that the ACS may call, with what answers it (R1, R5).
const METHODS: &[(&str, Answer)] = &[
    ("GetRPCMethods", get_rpc_methods::answer),
    ("SetParameterValues", set_parameter_values::answer),
    ("GetParameterValues", get_parameter_values::answer),
    ("GetParameterNames", get_parameter_names::answer),
];

/// What answers the method of this name; a method that is not there is fault 9000 (R4).
pub(super) fn find(method: &str) -> Result<Answer, Fault> {
    let found = METHODS.iter().find(|(name, _)| *name == method);
    found.map(|(_, answer)| *answer).ok_or_else(|| Fault::new(FaultCode::MethodNotSupported))
}

/// The one place where an error of the model becomes a fault.
impl From<PathError> for Fault {
    fn from(error: PathError) -> Fault {
        let code = match error {
            PathError::TooLong => FaultCode::InvalidArguments, // R76: it breaks string(256)
            PathError::TableFull => FaultCode::ResourcesExceeded, // R216
            _ => FaultCode::InvalidParameterName,
        };
        Fault::because(code, error.to_string())
    }
}

/// The one place where a refused value becomes a fault.
impl From<ValueError> for Fault {
    fn from(error: ValueError) -> Fault {
        let code = match error {
            ValueError::Type { .. } => FaultCode::InvalidParameterType,
            ValueError::ReadOnly => FaultCode::ParameterNotWritable,
            _ => FaultCode::InvalidParameterValue,
        };
        Fault::because(code, error.to_string())
    }
}

/// What cannot be stored is not done (R171); an ACS may try again later.
impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Fault {
        Fault::because(FaultCode::InternalError, error.to_string())
    }
}
