//! Faults of both sides: those of the CPE, from 9000, and those of the ACS, from 8000.

use crate::foreign_text::Quoted;
use std::fmt;

use super::version::Version;

/// The side at fault, which is the SOAP `faultcode` (R85, R251).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sender: the request is wrong.
    Client,
    /// The receiver: the request is correct, but cannot be executed.
    Server,
}

impl Side {
    /// Returns the text of the element `faultcode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Client => "Client",
            Side::Server => "Server",
        }
    }
}

/// The fault codes of a CPE (TR-069 A6 §A.5.1, T87).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the table below has the meaning of each
pub enum FaultCode {
    MethodNotSupported,
    RequestDenied,
    InternalError,
    InvalidArguments,
    ResourcesExceeded,
    InvalidParameterName,
    InvalidParameterType,
    InvalidParameterValue,
    ParameterNotWritable,
    NotificationRejected,
    DownloadFailure,
    UploadFailure,
    FileServerAuthentication,
    UnsupportedProtocol,
    MulticastGroup,
    FileServerUnreachable,
    FileInaccessible,
    DownloadIncomplete,
    FileCorrupted,
    FileNotAuthentic,
    OutsideTimeWindow,
    CancelNotPermitted,
    InvalidUuid,
    UnknownExecutionEnvironment,
    DisabledExecutionEnvironment,
    ExecutionEnvironmentMismatch,
    DuplicateDeploymentUnit,
    SystemResourcesExceeded,
    UnknownDeploymentUnit,
    InvalidDeploymentUnitState,
    DowngradeNotPermitted,
    VersionNotSpecified,
    VersionAlreadyExists,
    /// A vendor's own code, 9800 to 9899 (R254); see [`FaultCode::vendor`].
    Vendor(VendorCode),
}

/// A code from 9800 to 9899, the range of vendors; only [`FaultCode::vendor`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VendorCode(u16);

/// A row of the table below.
struct Row(FaultCode, u16, Side, Version, &'static str);

/// Each standard code with its number, its side, the CWMP version that introduced it (R83), and its text.
#[rustfmt::skip]
const TABLE: &[Row] = {
    use FaultCode::*;
    use Side::*;
    use Version::*;
    &[
        Row(MethodNotSupported,           9000, Server, V1_0, "Method not supported"),
        Row(RequestDenied,                9001, Server, V1_0, "Request denied"),
        Row(InternalError,                9002, Server, V1_0, "Internal error"),
        Row(InvalidArguments,             9003, Client, V1_0, "Invalid arguments"),
        Row(ResourcesExceeded,            9004, Server, V1_0, "Resources exceeded"),
        Row(InvalidParameterName,         9005, Client, V1_0, "Invalid parameter name"),
        Row(InvalidParameterType,         9006, Client, V1_0, "Invalid parameter type"),
        Row(InvalidParameterValue,        9007, Client, V1_0, "Invalid parameter value"),
        Row(ParameterNotWritable,         9008, Client, V1_0, "Attempt to set a non-writable parameter"),
        Row(NotificationRejected,         9009, Server, V1_0, "Notification request rejected"),
        Row(DownloadFailure,              9010, Server, V1_0, "File transfer failure"),
        Row(UploadFailure,                9011, Server, V1_0, "Upload failure"),
        Row(FileServerAuthentication,     9012, Server, V1_0, "File transfer server authentication failure"),
        Row(UnsupportedProtocol,          9013, Server, V1_0, "Unsupported protocol for file transfer"),
        Row(MulticastGroup,               9014, Server, V1_1, "File transfer failure: unable to join multicast group"),
        Row(FileServerUnreachable,        9015, Server, V1_1, "File transfer failure: unable to contact file server"),
        Row(FileInaccessible,             9016, Server, V1_1, "File transfer failure: unable to access file"),
        Row(DownloadIncomplete,           9017, Server, V1_1, "File transfer failure: unable to complete download"),
        Row(FileCorrupted,                9018, Server, V1_1, "File transfer failure: file corrupted or otherwise unusable"),
        Row(FileNotAuthentic,             9019, Server, V1_1, "File transfer failure: file authentication failure"),
        Row(OutsideTimeWindow,            9020, Client, V1_2, "File transfer failure: unable to complete download within specified time windows"),
        Row(CancelNotPermitted,           9021, Client, V1_2, "Cancelation of file transfer not permitted in current transfer state"),
        Row(InvalidUuid,                  9022, Server, V1_2, "Invalid UUID format"),
        Row(UnknownExecutionEnvironment,  9023, Server, V1_2, "Unknown execution environment"),
        Row(DisabledExecutionEnvironment, 9024, Server, V1_2, "Disabled execution environment"),
        Row(ExecutionEnvironmentMismatch, 9025, Server, V1_2, "Deployment unit to execution environment mismatch"),
        Row(DuplicateDeploymentUnit,      9026, Server, V1_2, "Duplicate deployment unit"),
        Row(SystemResourcesExceeded,      9027, Server, V1_2, "System resources exceeded"),
        Row(UnknownDeploymentUnit,        9028, Server, V1_2, "Unknown deployment unit"),
        Row(InvalidDeploymentUnitState,   9029, Server, V1_2, "Invalid deployment unit state"),
        Row(DowngradeNotPermitted,        9030, Server, V1_2, "Invalid deployment unit update: downgrade not permitted"),
        Row(VersionNotSpecified,          9031, Server, V1_2, "Invalid deployment unit update: version not specified"),
        Row(VersionAlreadyExists,         9032, Server, V1_2, "Invalid deployment unit update: version already exists"),
    ]
};

const VENDOR_CODES: std::ops::RangeInclusive<u16> = 9800..=9899;

impl FaultCode {
    /// Returns the code with this number, as the journal stores it; `None` for a number that no CPE may send.
    pub fn from_number(number: u16) -> Option<FaultCode> {
        let standard = TABLE.iter().find(|row| row.1 == number);
        standard.map(|row| row.0).or_else(|| FaultCode::vendor(number))
    }

    /// Returns the code of a vendor with this number; `None` outside 9800 to 9899 (R254).
    pub fn vendor(number: u16) -> Option<FaultCode> {
        // The range is checked here, so that a vendor code in a message can never be one of the standard.
        let own = VENDOR_CODES.contains(&number);
        own.then_some(FaultCode::Vendor(VendorCode(number)))
    }

    /// Returns the number that the message carries.
    pub fn number(self) -> u16 {
        match self {
            FaultCode::Vendor(VendorCode(number)) => number,
            standard => standard.row().1,
        }
    }

    /// Returns the side at fault. A vendor code is a fault of the CPE.
    pub fn side(self) -> Side {
        match self {
            FaultCode::Vendor(_) => Side::Server,
            standard => standard.row().2,
        }
    }

    /// Returns the text of the standard for this code.
    pub fn text(self) -> &'static str {
        match self {
            FaultCode::Vendor(_) => "Vendor-specific fault",
            standard => standard.row().4,
        }
    }

    /// Returns the code to send in a session of this version (R83). A code that the version does not know becomes a more
    /// general one: 9010 for the refinements of a failed transfer (R252), 9001 for all others.
    pub fn in_version(self, version: Version) -> FaultCode {
        match self {
            FaultCode::Vendor(_) => self,
            standard if standard.row().3 <= version => standard,
            // 9020 refines a failed transfer, too, though version 1.2 has introduced it.
            standard if standard.number() <= 9020 => FaultCode::DownloadFailure,
            _ => FaultCode::RequestDenied,
        }
    }

    fn row(self) -> &'static Row {
        // The default, 9002, is unreachable: a test finds each standard code in the table, and no caller passes `Vendor`.
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[2])
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.text())
    }
}

/// A fault in reply to a request of the ACS. The session goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The fault code.
    pub code: FaultCode,
    /// The reason, for the operator of the ACS.
    pub text: String,
    /// Each parameter that SetParameterValues has rejected (R87); empty for other methods.
    pub parameters: Vec<ParameterFault>,
}

/// A parameter that SetParameterValues has rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterFault {
    /// The full name, as the request writes it.
    pub name: String,
    /// The fault code.
    pub code: FaultCode,
    /// The reason, for the operator of the ACS.
    pub text: String,
}

impl Fault {
    /// Returns a fault with the text of the standard.
    pub fn new(code: FaultCode) -> Fault {
        Fault::because(code, code.text())
    }

    /// Returns a fault with a more precise text.
    pub fn because(code: FaultCode, text: impl Into<String>) -> Fault {
        Fault { code, text: text.into(), parameters: Vec::new() }
    }

    /// Returns fault 9003 of a SetParameterValues that rejected these parameters and changed none (R85, R87).
    pub fn of_parameters(parameters: Vec<ParameterFault>) -> Fault {
        Fault { parameters, ..Fault::new(FaultCode::InvalidArguments) }
    }
}

impl From<FaultCode> for Fault {
    fn from(code: FaultCode) -> Fault {
        Fault::new(code)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.number(), self.text)?;
        for parameter in &self.parameters {
            let number = parameter.code.number();
            write!(f, "; {}: {number} {}", parameter.name, parameter.text)?;
        }
        Ok(())
    }
}

/// The fault codes of an ACS (T88, R253).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the table below has the meaning of each
pub enum AcsFaultCode {
    MethodNotSupported,
    RequestDenied,
    InternalError,
    InvalidArguments,
    ResourcesExceeded,
    /// The CPE must send the same request again (R120).
    RetryRequest,
    /// The ACS does not support the CWMP version of the CPE.
    VersionIncompatible,
    /// A vendor code from 8800 to 8899, or a number that TR-069 does not define. It counts as a general failure.
    Other(u16),
}

/// A row of the table below: code, number, text.
struct AcsRow(AcsFaultCode, u16, &'static str);

#[rustfmt::skip]
const ACS_TABLE: &[AcsRow] = {
    use AcsFaultCode::*;
    &[
        AcsRow(MethodNotSupported,  8000, "method not supported"),
        AcsRow(RequestDenied,       8001, "request denied"),
        AcsRow(InternalError,       8002, "internal error"),
        AcsRow(InvalidArguments,    8003, "invalid arguments"),
        AcsRow(ResourcesExceeded,   8004, "resources exceeded"),
        AcsRow(RetryRequest,        8005, "retry request"),
        AcsRow(VersionIncompatible, 8006, "ACS version incompatible with CPE"),
    ]
};

impl AcsFaultCode {
    /// Returns the code with this number. Every number is accepted, since an ACS may send any.
    pub fn from_number(number: u16) -> AcsFaultCode {
        // An unknown code is no error: the fault matters more than its number.
        let known = ACS_TABLE.iter().find(|row| row.1 == number);
        known.map_or(AcsFaultCode::Other(number), |row| row.0)
    }

    /// Returns the number that the message carries.
    pub fn number(self) -> u16 {
        match self {
            AcsFaultCode::Other(number) => number,
            known => ACS_TABLE.iter().find(|row| row.0 == known).map_or(8002, |row| row.1),
        }
    }

    /// Returns the meaning of the code.
    pub fn text(self) -> &'static str {
        let row = ACS_TABLE.iter().find(|row| row.0 == self);
        row.map_or("fault unknown to TR-069", |row| row.2)
    }
}

/// A fault in reply to a request of the CPE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcsFault {
    /// The fault code; `None` if the fault carries no valid number (R88).
    pub code: Option<AcsFaultCode>,
    /// The text of the ACS, shortened to [`AcsFault::MAX_TEXT`] characters.
    pub text: String,
}

impl AcsFault {
    /// The maximum length of the text in characters. Log and `status` show it, and an ACS may send megabytes.
    pub const MAX_TEXT: usize = 256;
}

impl fmt::Display for AcsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "fault {} ({})", code.number(), code.text())?,
            None => f.write_str("fault without a code")?,
        }
        match self.text.is_empty() {
            true => Ok(()),
            // Quoted and escaped: a line end in the text of the ACS could otherwise forge a line of the log.
            false => write!(f, ": {}", Quoted(&self.text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R251: the list of client faults, and that every number has exactly one row in order.
    #[test]
    fn the_table_is_complete() {
        let numbers: Vec<u16> = TABLE.iter().map(|row| row.1).collect();
        assert_eq!(numbers, (9000..=9032).collect::<Vec<u16>>());
        for row in TABLE {
            assert_eq!(row.0.number(), row.1);
            assert_eq!(FaultCode::from_number(row.1), Some(row.0));
            let client = [9003, 9005, 9006, 9007, 9008, 9020, 9021].contains(&row.1);
            assert_eq!(row.0.side() == Side::Client, client, "{}", row.1);
            assert!(!row.0.text().is_empty());
        }
    }

    /// R254.
    #[test]
    fn vendors_have_a_range_of_their_own() {
        assert_eq!(FaultCode::vendor(9800).map(FaultCode::number), Some(9800));
        assert_eq!(FaultCode::from_number(9899).map(FaultCode::side), Some(Side::Server));
        assert_eq!(FaultCode::vendor(9799), None);
        assert_eq!(FaultCode::from_number(9900), None);
    }

    /// An older ACS gets no code that it cannot know; 9014 to 9019 refine 9010 (R83, R252).
    #[test]
    fn older_versions_get_older_codes() {
        use Version::*;
        let in_1_0 = |number| {
            let code = FaultCode::from_number(number).unwrap();
            code.in_version(V1_0).number()
        };
        assert_eq!([in_1_0(9013), in_1_0(9014), in_1_0(9019)], [9013, 9010, 9010]);
        assert_eq!([in_1_0(9020), in_1_0(9021), in_1_0(9032)], [9010, 9001, 9001]);
        assert_eq!(in_1_0(9850), 9850);
        assert_eq!(FaultCode::FileCorrupted.in_version(V1_1).number(), 9018);
        assert_eq!(FaultCode::CancelNotPermitted.in_version(V1_4).number(), 9021);
    }

    /// R253.
    #[test]
    fn codes_of_the_acs() {
        assert_eq!(AcsFaultCode::from_number(8005), AcsFaultCode::RetryRequest);
        for number in [0, 8000, 8006, 8007, 8800, 9001] {
            assert_eq!(AcsFaultCode::from_number(number).number(), number);
        }
        let fault = AcsFault { code: Some(AcsFaultCode::Other(8801)), text: "no\n".to_owned() };
        assert_eq!(fault.to_string(), "fault 8801 (fault unknown to TR-069): \"no\\n\"");
    }

    #[test]
    fn faults_in_words() {
        let fault = Fault::of_parameters(vec![ParameterFault {
            name: "Device.X".to_owned(),
            code: FaultCode::InvalidParameterName,
            text: "unknown".to_owned(),
        }]);
        assert_eq!(fault.to_string(), "9003 Invalid arguments; Device.X: 9005 unknown");
    }
}
